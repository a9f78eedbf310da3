"""Runs faults against a real installation and writes docs/reliability.md; exit code 1 when a promise was broken.

python -m tests.faults                                   a quick look: the most telling faults, one run each, anew
python -m tests.faults --all                             the campaign: every fault, all its seeds; goes on where it was
python -m tests.faults --fault kill-index --seeds 20     some of it
python -m tests.faults --broken acknowledges-first --fault kill-listening      must fail
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.faults.broken import DEFECTS, ROOT, broken_copy
from tests.faults.faults import FAULTS, NAMED, Fault
from tests.faults.results import PAGE, RESULTS, Results, page
from tests.faults.run import Figures, run

Planned = list[tuple[Fault, int]]


def main() -> int:
    """Plan, run, write."""
    options = _options()
    results = Results(options.results)
    planned = _planned(options, results)
    console = Console(file=sys.stderr)
    kept = None if options.broken else results
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    failed = 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("faults", total=len(planned))
        began = time.monotonic()
        for fault, seed in planned:
            if options.minutes and time.monotonic() - began > options.minutes * 60:
                console.print(f"stopped after {options.minutes:g} minutes; the same command goes on from here")
                break
            name = f"{fault.name} {seed}"
            figures = _run(
                fault, seed, options, lambda what, name=name: bar.update(task, description=f"{name}: {what}")
            )
            bar.advance(task)
            _tell(console, figures)
            failed += bool(figures.violations())
            if kept is not None:
                kept.add(figures)
                options.page.write_text(page(kept) + "\n")
    if kept is not None and planned:
        console.print(f"written: {options.page}")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fault", action="append", choices=list(NAMED), help="only this one; may be given again")
    parser.add_argument("--seeds", type=int, help="runs of each fault, seeds 1 to N; else as many as the fault wants")
    parser.add_argument("--all", action="store_true", help="every fault, not the quick selection")
    parser.add_argument("--again", action="store_true", help="also runs that are done")
    parser.add_argument("--minutes", type=float, help="begin no run after so many minutes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON lines of all runs so far")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--broken", choices=list(DEFECTS), help="a product with this defect; nothing is written")
    return parser.parse_args()


def _planned(options: argparse.Namespace, results: Results) -> Planned:
    quick = not (options.fault or options.all)
    chosen = [NAMED[name] for name in options.fault or ()] or [one for one in FAULTS if one.quick or options.all]
    wanted = [(one, seed) for one in chosen for seed in range(1, (options.seeds or (1 if quick else one.seeds)) + 1)]
    again = quick or options.again or options.broken
    return [(one, seed) for one, seed in wanted if again or (one.name, seed) not in results]


def _run(fault: Fault, seed: int, options: argparse.Namespace, tell: object) -> Figures:
    work = Path(tempfile.mkdtemp(prefix=f"throughbeat-{fault.name}-{seed}-"))
    product = broken_copy(options.broken, work / "product") if options.broken else ROOT
    figures = run(fault, seed, product, work, tell)  # type: ignore[arg-type]
    if figures.violations() and not options.broken:
        print(f"kept for a look: {work}", file=sys.stderr)
    else:
        shutil.rmtree(work, ignore_errors=True)
    return figures


def _tell(console: Console, one: Figures) -> None:
    broken = one.violations()
    verdict = f"[red]{'; '.join(broken)}[/]" if broken else "[green]kept[/]"
    console.print(
        f"{one.fault} {one.seed}: {verdict}  sent {one.sent} = {one.applied} applied + {one.set_aside} set aside"
        f" (+{one.set_aside_again}), progress {one.progress_s} s, zero lag {one.zero_lag_s} s, p99 {one.p99_ms} ms, "
        f"{one.statuses}, answered again {one.answered_again}",
        soft_wrap=True,
        highlight=False,
    )
    for line in (*one.wrong, *one.differences) if broken else ():
        console.print(f"    {line}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
