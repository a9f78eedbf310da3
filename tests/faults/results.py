"""Runs so far, one JSON line each, and the page that is written from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tests.faults.faults import FAULTS, Fault
from tests.faults.run import PROGRESS_WITHIN_S, Figures

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "docs" / "reliability.jsonl", ROOT / "docs" / "reliability.md"


class Results:
    """The latest run of each fault and seed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = [msgspec.json.decode(line, type=Figures) for line in lines if line.strip()]
        self._latest = {(one.fault, one.seed): one for one in found}

    def __contains__(self, run: tuple[str, int]) -> bool:
        return run in self._latest

    def add(self, figures: Figures) -> None:
        """Keep it, in place of an earlier run of the same seed."""
        self._latest[figures.fault, figures.seed] = figures
        order = {fault.name: at for at, fault in enumerate(FAULTS)}
        ordered = sorted(self._latest.values(), key=lambda one: (order.get(one.fault, len(order)), one.seed))
        self._path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in ordered))

    def of(self, fault: Fault) -> list[Figures]:
        """Every run of a fault."""
        return [one for one in self._latest.values() if one.fault == fault.name]


def page(results: Results) -> str:
    """The table: of each fault the worst run, not the mean."""
    rows = [(fault, runs) for fault in FAULTS if (runs := results.of(fault))]
    days = sorted({one.on for _, runs in rows for one in runs})
    broken = [one for _, runs in rows for one in runs if one.violations()]
    return "\n".join(
        [
            "# Reliability",
            "",
            "Written by `make faults`" + (f", runs of {days[0]} to {days[-1]}" if days else "") + ".",
            "",
            INTRODUCTION,
            "",
            f"| {' | '.join(COLUMNS)} |",
            "| --- " * len(COLUMNS) + "|",
            *(_row(fault, runs) for fault, runs in rows),
            "",
            *(["## Runs that broke a promise", ""] if broken else []),
            *(f"- {one.fault}, seed {one.seed}: {'; '.join(one.violations())}" for one in broken),
            *([""] if broken else []),
            "## What is counted",
            "",
            NOTES,
        ]
    )


COLUMNS = ("fault", "seeds", "sent", "applied once", "lost", "twice", "set aside", "progress s", "zero lag s")
COLUMNS += ("p99 ms before / during / after", "wrong answers")

INTRODUCTION = f"""\
While one fault strikes a real `throughbeat up`, a driver publishes numbered listening events, changes of the catalogue
and requests at a steady rate, with duplicates, poison and wrong clocks among them. Afterwards an oracle that shares no
code with the product replays the topics from their beginning, and every value of persons and popularity in Redis, every
artist and playlist, every point of the index with its payload and its vector, every count of the learner of playlists,
every dead letter and every answer is compared with what it must be. Asked of every run: 0 lost, 0 twice, progress
within {PROGRESS_WITHIN_S:g} s of the end of the fault, no wrong answer."""

NOTES = """\
Up to four runs follow each other on one installation, which is compared with all that it was ever told after each. A
run that breaks a promise is the last on its installation. Who died within the last three minutes is started after a
pause that doubles each time, from half a second to ten; these pauses are in the times.

Each row is the worst over the seeds: counts are those of the run that lost or counted twice the most (of equals, the
one that was behind longest), times and latencies the greatest of any run.

- *sent*: records in the topics that the workers read; each is applied once or set aside. A duplicate is applied when it
  has no second effect.
- *set aside*: records in the dead letters. One that is set aside and not yet acknowledged when a worker dies is set
  aside again; by its headers it is the same letter.
- *progress*: from the end of the fault until events, catalogue and answers all went on, the slowest of the three. A
  killed process is a fault that ends at once; its restart is part of the time. Offsets are committed twice a second and
  looked at six times.
- *zero lag*: from the end of the fault until nothing waited but what was sent in the last 1.5 s, under the same load.
- *p99*: of all replies, errors as well, to requests sent before the fault, from its beginning to zero lag, and after.
- *wrong answers*: tracks heard, disliked, of a blocked artist, withdrawn, twice in one list, or the seed itself; an
  `ok` before what `after` names has counted.

No Qdrant server can be had by pip or apt. What is killed and slowed down in its place is a process that answers its
calls on disk with the local mode of Qdrant's own client: it shows what the workers do when a server goes away, and
nothing of what a real one keeps. Workers that are started by hand use Debian's Redis where there is one."""


def _row(fault: Fault, runs: Sequence[Figures]) -> str:
    worst = max(runs, key=lambda one: (one.lost + one.twice, len(one.violations()), one.zero_lag_s or float("inf")))
    p99s = " / ".join(_greatest(one.p99_ms[at] for one in runs) for at in range(3))
    progress, zero = _greatest(one.progress_s for one in runs), _greatest(one.zero_lag_s for one in runs)
    counts = f"{worst.sent} | {worst.applied} | {worst.lost} | {worst.twice} | {worst.set_aside}"
    wrong = max(len(one.wrong) for one in runs)
    return f"| {fault.title} | {len(runs)} | {counts} | {progress} | {zero} | {p99s} | {wrong} |"


def _greatest(values: Iterable[float | None]) -> str:
    """A run that never got there is the worst."""
    found = list(values)
    return "never" if None in found else f"{max(one for one in found if one is not None):g}"
