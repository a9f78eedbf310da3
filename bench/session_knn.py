"""What came next in past sessions, among a million of them: the inverted index beside a plain scan of all.

python -m bench.session_knn [--sessions 1000000] [--tracks 100000] [--queries 300] [--scans 10]

Sessions are of 12 tracks, each by the popularity of a Zipf law, half of them from one pocket of tracks. The scan takes
every session that is held, and weighs it the same way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import psutil
from numpy.typing import NDArray

from bench.harness import arguments, report, summary
from models.past_sessions import PastSessions, PastSessionsConfig

LENGTH, POCKETS = 12, 500
BEGAN_MS, APART_MS = 1_700_000_000_000, 1_000
ASKED, LIMIT = 15, 45


def drawn(rng: np.random.Generator, count: int, tracks: int, length: int) -> NDArray[np.int64]:
    """(count, length) tracks; of half of each session the pocket is the session's own."""
    popular = rng.zipf(1.2, (count, length)) % tracks
    pocket = rng.integers(0, POCKETS, (count, 1))
    own = pocket * (tracks // POCKETS) + rng.zipf(1.3, (count, length)) % (tracks // POCKETS)
    found: NDArray[np.int64] = np.where(rng.random((count, length)) < 0.5, own, popular)
    return found


def names(row: NDArray[np.int64]) -> list[str]:
    """Distinct ids of the usual length."""
    return [f"{track:022d}" for track in dict.fromkeys(row.tolist())]


def scan(past: PastSessions, items: NDArray[np.int64], asked: list[str]) -> NDArray[np.int64]:
    """The nearest sessions without an index: how much of the asking one is in each."""
    likeness = np.zeros(len(items), np.float32)
    for place, one in enumerate(reversed(asked)):
        likeness += math.exp(-place / past.config.fade) * (items == int(one)).any(axis=1)
    nearest: NDArray[np.int64] = np.argpartition(-likeness, past.config.neighbours)[: past.config.neighbours]
    return nearest


def milliseconds(run: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    options = arguments(__doc__, sessions=1_000_000, tracks=100_000, queries=300, scans=10)
    rng = np.random.default_rng(7)
    past = PastSessions(PastSessionsConfig(sessions=options.sessions))
    items = drawn(rng, options.sessions, options.tracks, LENGTH)
    before = psutil.Process().memory_info().rss
    added = []
    for number, row in enumerate(items):
        tracks = names(row)
        began = time.perf_counter()
        past.add(f"session {number}", tracks, BEGAN_MS + number * APART_MS)
        added.append((time.perf_counter() - began) * 1e6)
    resident = psutil.Process().memory_info().rss - before
    now_ms = BEGAN_MS + options.sessions * APART_MS
    questions = [names(row) for row in drawn(rng, options.queries, options.tracks, ASKED)]
    asked = [milliseconds(partial(past.next_to, one, LIMIT, now_ms=now_ms)) for one in questions]
    scanned = [milliseconds(partial(scan, past, items, one)) for one in questions[: options.scans]]
    report(
        "session_knn",
        {
            "sessions": len(past),
            "tracks": len(past.track_ids),
            "ask_ms": summary(asked, 3),
            "scan_ms": summary(scanned, 1),
            "add_us": summary(added, 1),
            "resident_mb": round(resident / 1e6),
        },
    )


if __name__ == "__main__":
    main()
