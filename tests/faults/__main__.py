"""Runs faults against a real installation and writes docs/reliability.md; exit code 1 when a promise was broken.

python -m tests.faults                                   a quick look: the most telling faults, one run each, anew
python -m tests.faults --all                             the campaign: every fault, all its seeds; goes on where it was
python -m tests.faults --all --minutes 5                 a piece of it
python -m tests.faults --fault kill-index --seeds 20     some of it
python -m tests.faults --broken acknowledges-first --fault kill-listening      must fail
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from kafka.errors import KafkaError
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.faults.broken import DEFECTS, ROOT, broken_copy
from tests.faults.faults import FAULTS, NAMED, Fault, Setting
from tests.faults.results import PAGE, RESULTS, Results, page
from tests.faults.run import Figures, Sitting, sitting
from topics.errors import TopicError

Planned = list[tuple[Fault, int]]
# Runs on one installation; each compares all that came since its beginning. Its supervisor remembers for minutes who
# died, and starts it after a longer pause each time.
RUNS_AT_A_SITTING = 4
# What a run may end with that cannot be judged.
BROKEN_OFF = (KafkaError, OSError, RedisError, RuntimeError, TopicError)


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
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar, Sittings(options) as sittings:
        task = bar.add_task("faults", total=len(planned))
        began = time.monotonic()
        for fault, seed in planned:
            if options.minutes and time.monotonic() - began > options.minutes * 60:
                console.print(f"stopped after {options.minutes:g} minutes; the same command goes on from here")
                break
            name = f"{fault.name} {seed}"
            try:
                figures = sittings.of(fault.setting).run(
                    fault, seed, lambda what, name=name: bar.update(task, description=f"{name}: {what}")
                )
            except BROKEN_OFF as error:
                failed += 1
                console.print(f"{name}: [red]broken off[/] {type(error).__name__}: {error}", highlight=False)
                sittings.end(keep=True)
                continue
            bar.advance(task)
            _tell(console, figures)
            if figures.violations():
                failed += 1
                sittings.end(keep=not options.broken)
            if kept is not None:
                kept.add(figures)
                options.page.write_text(page(kept) + "\n")
    if kept is not None and planned:
        console.print(f"written: {options.page}")
    return 1 if failed else 0


class Sittings:
    """The installation in use: another one for another setting, after some runs, and after one that went wrong."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._broken: str | None = options.broken
        self._opened = ExitStack()
        self._work: Path | None = None
        self._setting: Setting | None = None
        self._sitting: Sitting | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def of(self, setting: Setting) -> Sitting:
        """One that runs."""
        if self._sitting is None or self._setting != setting or self._sitting.runs == RUNS_AT_A_SITTING:
            self.end()
            self._work = Path(tempfile.mkdtemp(prefix="throughbeat-faults-"))
            product = broken_copy(self._broken, self._work / "product") if self._broken else ROOT
            self._setting = setting
            self._sitting = self._opened.enter_context(sitting(setting, product, self._work))
        return self._sitting

    def end(self, *, keep: bool = False) -> None:
        """Stop it, and delete what it has written unless somebody is to look at it."""
        self._sitting = None
        self._opened.close()
        if self._work is not None and keep:
            print(f"kept for a look: {self._work}", file=sys.stderr)
        elif self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
        self._work = None


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
    left = [(one, seed) for one, seed in wanted if again or (one.name, seed) not in results]
    settings = list(dict.fromkeys(one.setting for one, _ in left))
    # The faults take turns, so that it is not always the same part that dies.
    return sorted(left, key=lambda pair: (settings.index(pair[0].setting), pair[1]))


def _tell(console: Console, one: Figures) -> None:
    broken = one.violations()
    verdict = f"[red]{'; '.join(broken)}[/]" if broken else "[green]kept[/]"
    console.print(
        f"{one.fault} {one.seed}: {verdict}  sent {one.sent} = {one.applied} applied + {one.set_aside} set aside"
        f" (+{one.set_aside_again}), progress {one.progress_s} s, zero lag {one.zero_lag_s} s, p99 {one.p99_ms} ms, "
        f"{one.took_s} s, {one.statuses}, answered again {one.answered_again}",
        soft_wrap=True,
        highlight=False,
    )
    for line in (*one.wrong, *one.differences) if broken else ():
        console.print(f"    {line}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
