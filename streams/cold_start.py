"""Ways to find new releases held against who listed them, by a fifth of the tracks, which no way has met in a list.

Whole albums are held out, so that no track beside it gives one away. All playlists choose among the same candidates:
the tracks held out that any playlist holds. The second trap is closed too: further releases of a recording that is
known are no new release, and neither candidates nor wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TooFewTracks
from models.ranked import best_first, found_of
from streams.continuation import Figures, Known, OnStep, Ranker, Way, rows_of, summary
from streams.labelled import Catalogue

FOUND = 50
MEASURES = (f"recall@{FOUND}", f"NDCG@{FOUND}")
PARTS = 5
KNOWN_MIN = 5


def compare(
    catalogue: Catalogue, ways: Mapping[str, Way], *, seed: int, on_step: OnStep = lambda done, total, doing: None
) -> dict[str, Any]:
    """The figures of each way, and how much better the first is than each other.

    Returns:
        `cases`, `candidates`, `ways` (way -> measure -> value and 95 % interval) and `differences` (the first less each
        other, the intervals paired by playlist).

    Raises:
        TooFewTracks: no playlist holds both known tracks and new ones.
    """
    lists, strangers = rows_of(catalogue)
    new = held_out(catalogue, seed)
    is_new = np.concatenate([new, np.zeros(strangers, dtype=bool)])
    candidates = np.zeros(len(is_new), dtype=bool)
    candidates[np.concatenate(lists)] = True
    candidates &= is_new & ~np.concatenate([released_before(catalogue, new), np.zeros(strangers, dtype=bool)])
    kept = [one[~is_new[one]] for one in lists]
    known = Known(catalogue, [one for one in kept if len(one)], candidates)
    cases = [
        (place, held, wanted)
        for place, (one, held) in enumerate(zip(lists, kept, strict=True))
        if len(held) >= KNOWN_MIN and len(wanted := one[candidates[one]])
    ]
    if not cases:
        raise TooFewTracks(f"expected playlists of {KNOWN_MIN} known tracks or more and a new one, got none")
    figures: dict[str, list[Figures]] = {}
    for at, (name, way) in enumerate(ways.items()):
        on_step(at, len(ways), name)
        ranker = way(known)
        figures[name] = [answer(ranker, known, held, wanted) for _, held, wanted in cases]
    on_step(len(ways), len(ways), "done")
    clusters = np.array([place for place, _, _ in cases])
    sizes = {"cases": len(cases), "candidates": int(candidates.sum())}
    return {**sizes, **summary(clusters, figures, seed, MEASURES)}


def held_out(catalogue: Catalogue, seed: int) -> NDArray[np.bool_]:
    """(N,) a fifth of the albums, whole; a track of an unknown album is one of its own."""
    rng = np.random.default_rng(seed)
    unknown = catalogue.albums < 0
    albums = np.where(unknown, catalogue.albums.max(initial=0) + 1 + np.cumsum(unknown), catalogue.albums)
    return np.asarray((rng.permutation(albums.max(initial=0) + 1) % PARTS == 0)[albums])


def released_before(catalogue: Catalogue, new: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) tracks of a recording that is known by another track."""
    known = np.zeros(catalogue.recordings.max(initial=0) + 1, dtype=bool)
    known[catalogue.recordings[~new]] = True
    return np.asarray(known[catalogue.recordings])


def answer(ranker: Ranker, known: Known, held: NDArray[np.int64], wanted: NDArray[np.int64]) -> Figures:
    """(2,) the measures of what a way puts first among the candidates."""
    scores = np.where(known.candidates, ranker(held), -np.inf).astype(np.float32)
    return found_of(best_first(scores, FOUND), wanted, FOUND)
