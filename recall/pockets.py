"""Where a list starts from, as directions to look in: one common thread, or each pocket of what somebody likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recall.query import Start
from recall.tracks import ACOUSTIC, Vector, matrix

# Rounds of k-means after which pockets of this few starts hardly move.
ROUNDS = 8
# A mean of unit vectors that is shorter points nowhere.
CANCELLED = 1e-6
# Anchors that a candidate is held against, and how much nearer ones count more: at a cosine of 0.1 less, a third.
NEAREST, SHARPNESS = 4, 10.0


@dataclass(frozen=True)
class Pocket:
    """Starts that are alike.

    Attributes:
        direction: where to look for more: (D,) float32 of L2 norm 1.
        members: the starts, the heaviest first.
        vectors: theirs: (N, D) float32, each row of L2 norm 1.
        weights: theirs: (N,) float32.
    """

    direction: Vector
    members: tuple[Start, ...]
    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]


def pockets(
    starts: Sequence[Start], breadth: float, most: int, using: str = ACOUSTIC, *, thread: bool = False
) -> list[Pocket]:
    """Groups of starts that are alike by one of their vectors, the heaviest first.

    Args:
        starts: heaviest first; those without such a vector are in no pocket.
        breadth: 0..1: of a person's pockets 1 up to all, or how far each leaves the common thread.
        most: pockets at most.
        using: the name of the vectors.
        thread: the starts belong together, as seeds do: at breadth 0 all of them are one pocket around their weighted
            mean, and the wider, the more each pocket looks in its own direction.
    """
    placed = [(start, start.indexed.vectors[using]) for start in starts if using in start.indexed.vectors]
    if not placed:
        return []
    members = [start for start, _ in placed]
    vectors = matrix([vector for _, vector in placed])
    weights = np.array([start.weight for start in members], dtype=np.float32)
    everything = _pocket(members, vectors, weights, np.ones(len(members), bool))
    if thread and breadth == 0 and everything is not None:
        return [everything]
    found = _clusters(members, vectors, weights, most)
    if not thread or everything is None:
        return found[: 1 + round(breadth * (len(found) - 1))]
    return [_leaning(pocket, everything.direction, breadth) for pocket in found]


def soft_top_k(vectors: NDArray[np.float32], pocket: Pocket) -> NDArray[np.float32]:
    """How near each vector is to the pocket's starts: a mean of its nearest ones, in which nearer ones count more.

    The mean vector of a pocket may be like none of its starts; this asks for likeness to a few of them.

    Args:
        vectors: (B, D) float32, each row of L2 norm 1.
        pocket: its starts, by weight.

    Returns:
        (B,) float32 in -1..1.
    """
    likeness = vectors @ pocket.vectors.T
    k = min(NEAREST, likeness.shape[1])
    nearest = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
    near = np.take_along_axis(likeness, nearest, axis=1)
    shares = pocket.weights[nearest] * np.exp(SHARPNESS * (near - near.max(axis=1, keepdims=True)))
    scores: NDArray[np.float32] = (near * shares).sum(axis=1) / shares.sum(axis=1)
    return scores


def _clusters(members: Sequence[Start], vectors: Vector, weights: Vector, most: int) -> list[Pocket]:
    """Weighted spherical k-means from centres that are far apart: the same starts always give the same pockets.

    Source of the first centres: Gonzalez, Clustering to minimize the maximum intercluster distance, 1985.
    """
    centres = vectors[_far_apart(vectors, weights, most)]
    assigned = np.argmax(vectors @ centres.T, axis=1)
    for _ in range(ROUNDS):
        inside = np.eye(len(centres), dtype=np.float32)[assigned]
        sums = inside.T @ (vectors * weights[:, None])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres).astype(np.float32)
        again = np.argmax(vectors @ centres.T, axis=1)
        if np.array_equal(again, assigned):
            break
        assigned = again
    made = (_pocket(members, vectors, weights, assigned == at) for at in range(len(centres)))
    found = [pocket for pocket in made if pocket is not None]
    return sorted(found, key=lambda pocket: (-float(pocket.weights.sum()), pocket.members[0].track.track_id))


def _far_apart(vectors: Vector, weights: Vector, count: int) -> list[int]:
    chosen = [int(np.argmax(weights))]
    closest = vectors @ vectors[chosen[0]]
    while len(chosen) < min(count, len(vectors)):
        distance = (1 - closest) * weights
        furthest = int(np.argmax(distance))
        if distance[furthest] <= 1e-6:
            break
        chosen.append(furthest)
        closest = np.maximum(closest, vectors @ vectors[furthest])
    return chosen


def _pocket(members: Sequence[Start], vectors: Vector, weights: Vector, inside: NDArray[np.bool_]) -> Pocket | None:
    """The starts that are inside; `None` where there are none, or they cancel out."""
    mean = (vectors[inside] * weights[inside, None]).sum(axis=0)
    length = float(np.linalg.norm(mean))
    if length < CANCELLED:
        return None
    chosen = tuple(start for start, within in zip(members, inside, strict=True) if within)
    return Pocket((mean / length).astype(np.float32), chosen, vectors[inside], weights[inside])


def _leaning(pocket: Pocket, thread: Vector, breadth: float) -> Pocket:
    """The pocket, looking between the common thread and its own direction."""
    mixed = (1 - breadth) * thread + breadth * pocket.direction
    length = float(np.linalg.norm(mixed))
    if length < CANCELLED:
        return pocket
    return Pocket((mixed / length).astype(np.float32), pocket.members, pocket.vectors, pocket.weights)
