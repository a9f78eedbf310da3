"""What a playlist is made of, by how its tracks sound: how much it holds together, and who stands where in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recall.duplicates import first_of_each
from recall.tracks import IndexedTrack

Floats = NDArray[np.float64]

NEIGHBOURS = 4
# A fit so many times the usual distance below the middle one is an outlier: the modified z-score's 3.5.
# Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993.
OUTLYING, SCALE = 3.5, 0.6745
# A track that is a near neighbour of more than twice as many as the mean is a hub.
# Source: Radovanovic, Nanopoulos and Ivanovic, Hubs in Space, JMLR 2010 (k-occurrences).
HUB_TIMES = 2
ROUNDS = 200


@dataclass(frozen=True)
class Analysis:
    """A playlist of N tracks with vectors, by their places in it.

    Attributes:
        cohesion: length of the mean vector: 1 where all sound the same, 0 where they cancel out.
        fit: (N,) likeness of each track to the mean of all, scaled so that the best has 1 and the worst 0.
        likeness: (N, N) cosines.
        neighbours: (N, k) the nearest others of each, the nearest first, k <= `NEIGHBOURS`.
        chosen: (N,) of how many others each is a near neighbour.
        outliers: those that fit far worse than the others, the worst first.
        hubs: near neighbours of many, the most chosen first.
        isolates: near neighbours of nobody.
        places: (N, 2) within 0..1, near where alike: neighbours attract, all repel.
    """

    cohesion: float
    fit: Floats
    likeness: Floats
    neighbours: NDArray[np.int64]
    chosen: NDArray[np.int64]
    outliers: tuple[int, ...]
    hubs: tuple[int, ...]
    isolates: tuple[int, ...]
    places: Floats


def analyse(vectors: NDArray[np.float32]) -> Analysis:
    """Work out all of it; the same playlist always gives the same.

    Args:
        vectors: (N, D), each row of L2 norm 1.

    Raises:
        ValueError: there are fewer than two tracks.
    """
    if len(vectors) < 2:
        raise ValueError(f"expected at least two tracks of known sound, got {len(vectors)}")
    exact = vectors.astype(np.float64)
    mean = exact.mean(axis=0)
    cohesion = float(np.linalg.norm(mean))
    likeness = np.clip(exact @ exact.T, -1, 1)
    raw = exact @ mean
    neighbours = nearest(likeness, NEIGHBOURS)
    chosen = np.bincount(neighbours.ravel(), minlength=len(vectors))
    often = np.flatnonzero(chosen > HUB_TIMES * neighbours.shape[1])
    return Analysis(
        cohesion,
        scaled(raw),
        likeness,
        neighbours,
        chosen,
        outliers(raw),
        tuple(sorted(often.tolist(), key=lambda at: (-int(chosen[at]), at))),
        tuple(np.flatnonzero(chosen == 0).tolist()),
        placed(likeness, neighbours),
    )


def scaled(values: Floats) -> Floats:
    """The greatest as 1, the least as 0; all 1 where they are equal."""
    low, high = float(values.min()), float(values.max())
    return np.ones_like(values) if high - low < 1e-9 else (values - low) / (high - low)


def outliers(values: Floats) -> tuple[int, ...]:
    """Places of values far below the others, the least first."""
    middle = float(np.median(values))
    usual = float(np.median(np.abs(values - middle)))
    if usual < 1e-9:
        return ()
    far = np.flatnonzero(SCALE * (middle - values) / usual > OUTLYING)
    return tuple(sorted(far.tolist(), key=lambda at: (float(values[at]), at)))


def nearest(likeness: Floats, most: int) -> NDArray[np.int64]:
    """(N, k) the places of the others that each is most like, the nearest first, ties by place."""
    others = likeness.copy()
    np.fill_diagonal(others, -np.inf)
    return np.argsort(-others, axis=1, kind="stable")[:, : min(most, len(likeness) - 1)]


def placed(likeness: Floats, neighbours: NDArray[np.int64]) -> Floats:
    """Places on a map, 0..1 each way.

    Source: Fruchterman and Reingold, Graph Drawing by Force-directed Placement, 1991; it begins on a circle.
    """
    count = len(likeness)
    turns = 2 * np.pi * np.arange(count) / count
    places = np.column_stack([np.cos(turns), np.sin(turns)])
    drawn = np.zeros((count, count))
    rows = np.repeat(np.arange(count), neighbours.shape[1])
    drawn[rows, neighbours.ravel()] = np.maximum(likeness[rows, neighbours.ravel()], 0.05)
    drawn = np.maximum(drawn, drawn.T)
    ideal = 2 / np.sqrt(count)
    for left in np.linspace(1, 0.01, ROUNDS):
        apart = places[:, None] - places[None]
        distance = np.maximum(np.linalg.norm(apart, axis=2), 1e-3)
        pull = ideal**2 / distance**2 - drawn * distance / ideal
        moves = (apart * pull[..., None]).sum(axis=1)
        length = np.maximum(np.linalg.norm(moves, axis=1, keepdims=True), 1e-9)
        places = places + moves / length * np.minimum(length, 0.2 * left)
    low, high = places.min(axis=0), places.max(axis=0)
    framed: Floats = (places - low) / np.maximum(high - low, 1e-9)
    return framed


def best_next(
    held: Sequence[IndexedTrack], candidates: Sequence[IndexedTrack], limit: int, using: str
) -> list[tuple[IndexedTrack, float]]:
    """The candidates most like some of the tracks held, with that likeness; no recording twice, none that is held.

    Likeness is the mean of the cosines with the nearest tracks held: `NEIGHBOURS`, or half of a short playlist.
    """
    ids = {one.track.track_id for one in held}
    placed_here = [one for one in candidates if using in one.vectors and one.track.track_id not in ids]
    own = [one.vectors[using] for one in held if using in one.vectors]
    if not own or not placed_here:
        return []
    cosines = np.stack([one.vectors[using] for one in placed_here]) @ np.stack(own).T
    k = max(1, min(NEIGHBOURS, len(own) // 2))
    scores = np.partition(cosines, -k, axis=1)[:, -k:].mean(axis=1)
    order = sorted(range(len(placed_here)), key=lambda at: (-float(scores[at]), placed_here[at].track.track_id))
    score = {placed_here[at].track.track_id: float(scores[at]) for at in order}
    taken = first_of_each((placed_here[at] for at in order), limit, already=[one.track for one in held])
    return [(one, score[one.track.track_id]) for one in taken]
