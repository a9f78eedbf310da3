"""Answers while the index grows: as usual, and while its search graph is built anew beside them.

python -m bench.growth [--tracks 55000] [--rate 25] [--seconds 40]

The whole catalogue is imported and its graph built; that is the usual. Then so many of its tracks come again, which
takes them out of the graph, and the worker builds it anew on a copy. Requests keep their rate all along, some half of
what can be answered; what changed in the log is learned anew meanwhile, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bench.harness import DATA, Running, arguments, report, running, scratch, summary
from bench.requests import SEED, make_listeners, request, sequential, tracks_of
from streams.serving.collection import OPTIMISED, OPTIMISING
from streams.up import wait_until_searchable
from topics.client import Client
from topics.records import Seed, Track
from topics.specs import CATALOG_TRACKS

LISTENED = 2_000
RECALL = 'throughbeat_index_recall{vector="acoustic"}'
BUILT_WITHIN_S = 900.0
POLL_S = 0.02


@dataclass
class Asked:
    """Requests at a steady rate: when each was due, and how long it took."""

    taken: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0

    def between(self, begin_s: float, end_s: float) -> dict[str, float | int]:
        """The milliseconds of those that were due in that time."""
        return summary([ms for due_s, ms in self.taken if begin_s <= due_s < end_s])


@contextmanager
def asking(
    client: Client, people: Mapping[str, Sequence[Track]], tracks: Sequence[Track], rate: int
) -> Iterator[Asked]:
    """Ask on a thread until the block ends, half from taste and half from a seed; a late start counts against it."""
    asked, stopping, names = Asked(), threading.Event(), list(people)

    def note(due_s: float, future: object) -> None:
        reply = None if future.exception() else future.result()  # type: ignore[attr-defined]
        if reply is None or reply.status != "ok":
            asked.failed += 1
        else:
            asked.taken.append((due_s, (time.perf_counter() - due_s) * 1000))

    def ask() -> None:
        start_s, number = time.perf_counter(), 0
        while not stopping.wait(max(0.0, start_s + number / rate - time.perf_counter())):
            seeds = (Seed(track_id=tracks[number % len(tracks)].track_id),) if number % 2 else None
            future = client.submit(request(names[number % len(names)], seeds=seeds), timeout_s=5)
            future.add_done_callback(partial(note, start_s + number / rate))
            number += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        stopping.set()
        thread.join()


def said(here: Running, text: str) -> int:
    """How often the worker that holds the index has said so."""
    return (here.settings.data_dir / "logs" / "worker-index.log").read_text(errors="replace").count(text)


def until_said(here: Running, text: str, times: int) -> float:
    """When it was said for the last of so many times, on the clock of the requests."""
    deadline = time.perf_counter() + BUILT_WITHIN_S
    while said(here, text) < times:
        if time.perf_counter() > deadline:
            raise SystemExit(f"not within {BUILT_WITHIN_S:g} s: {text}")
        time.sleep(POLL_S)
    return time.perf_counter()


def main() -> None:
    options = arguments(__doc__, tracks=55_000, rate=25, seconds=40)
    with scratch() as data_dir, running(data_dir, str(DATA)) as here, here.client() as client:
        first_s = here.wait_until_optimised()
        # The usual is what is usual once nothing is being learned.
        here.wait_until_settled()
        here.wait_until_learned()
        # A stack that was kept has said so in an earlier life, too.
        before = said(here, OPTIMISED)
        again = tracks_of(DATA / "tracks.csv.gz", options.tracks, np.random.default_rng(SEED))
        people = make_listeners(client, again[: 10 * 200])
        sequential(here, client, people, again[:LISTENED], 60)
        with asking(client, people, again[:LISTENED], options.rate) as asked:
            began_s = time.perf_counter()
            time.sleep(options.seconds)
            usual_s = time.perf_counter()
            client.publish_many(CATALOG_TRACKS, again)
            wait_until_searchable(here.settings)
            building_s = until_said(here, OPTIMISING, before + 1)
            built_s = until_said(here, OPTIMISED, before + 1)
            time.sleep(options.seconds)
            usual, during = asked.between(began_s, usual_s), asked.between(building_s, built_s)
            after = asked.between(built_s, built_s + options.seconds)
        figures = {
            "tracks": options.tracks,
            "rate": options.rate,
            "first_graph_after_s": round(first_s, 1),
            "built_anew_in_s": round(built_s - building_s, 1),
            "usual_ms": usual,
            "while_written_ms": asked.between(usual_s, building_s),
            "while_built_ms": during,
            "after_ms": after,
            "p99_while_built_to_usual": round(float(during["p99"]) / float(usual["p99"]), 2),
            "without_an_answer": asked.failed,
            "recall_told_by_the_worker": here.metric(RECALL),
            "resident_mb": here.resident_mb(),
        }
        report("growth", figures)


if __name__ == "__main__":
    main()
