"""Answers while Track2Vec learns: requests one after the other, at rest and while playlists keep arriving, in turn.

python -m bench.learning [--rounds 4] [--requests 300] [--playlists 10]
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.harness import arguments, report, running, scratch, summary
from bench.requests import make_listeners, request, tracks_of
from streams.catalogue import sample_tracks
from topics.client import Client
from topics.records import Playlist, Seed, Track
from topics.specs import CATALOG_PLAYLISTS

LISTED = 60
SEED = 7


def asked(client: Client, names: list[str], tracks: list[Track], count: int) -> list[float]:
    """Milliseconds of requests, half from taste and half from a seed."""
    took = []
    for number in range(count):
        seeds = (Seed(track_id=tracks[number % len(tracks)].track_id),) if number % 2 else None
        began = time.perf_counter()
        client.ask(request(names[number % len(names)], seeds=seeds), timeout_s=5)
        took.append(1000 * (time.perf_counter() - began))
    return took


@contextmanager
def arriving(client: Client, tracks: list[Track], per_s: int, run: Iterator[int]) -> Iterator[None]:
    """Playlists of sixty tracks, so many a second, for the length of the block."""
    done, rng = threading.Event(), np.random.default_rng(SEED)

    def publish() -> None:
        while not done.wait(1 / per_s):
            chosen = tuple(tracks[at].track_id for at in rng.choice(len(tracks), LISTED, replace=False))
            client.post(CATALOG_PLAYLISTS, Playlist(playlist_id=f"bench{next(run)}", track_ids=chosen))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def main() -> None:
    given = arguments(__doc__ or "", rounds=4, requests=300, playlists=10)
    rng = np.random.default_rng(SEED)
    with scratch() as directory, running(directory, "sample") as stack, stack.client() as client:
        tracks = tracks_of(Path(sample_tracks()), 2_000, rng)
        names, run = list(make_listeners(client, tracks)), itertools.count()
        asked(client, names, tracks, given.requests)
        rest: list[float] = []
        learning: list[float] = []
        for _ in range(given.rounds):
            rest += asked(client, names, tracks, given.requests)
            with arriving(client, tracks, given.playlists, run):
                learning += asked(client, names, tracks, given.requests)
            # What came last is gone over again: at rest is when that is done.
            time.sleep(10)
    at_rest, while_learning = summary(rest), summary(learning)
    report(
        "learning",
        {
            "playlists_per_s": given.playlists,
            "at_rest_ms": at_rest,
            "while_learning_ms": while_learning,
            "p99_ratio": round(while_learning["p99"] / at_rest["p99"], 2),
        },
    )


if __name__ == "__main__":
    main()
