"""The order of a list that is heard from first to last: smooth from track to track, with an arc of energy over all.

The objective, of which less is better: the sum of what the transitions cost, plus `ARC` times the sum of how far each
track's energy is from the arc. A transition costs, each 0..1 and weighted: the change of tempo, where half and double
time are the same pulse; the steps of key around the circle of fifths, a change of mode being one more; the change of
energy; and the distance of the acoustic vectors. What is unknown of a track costs what it costs others on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recall.tracks import CataloguedTrack, Vector
from topics.records import Features

Matrix = NDArray[np.float64]

TEMPO, KEY, ENERGY, SOUND = 0.3, 0.2, 0.2, 0.3
# How much the arc counts beside the transitions.
ARC = 0.5
# Where in the list its energy is highest.
PEAK = 0.65
# From the lower part of the list's energies to the upper: the very extremes are nobody's target.
LOW, HIGH = 10, 90
# Longer lists are only built, not improved: each exchange looks at all pairs of positions.
IMPROVED_MAX = 150
EXCHANGES = 40
# Steps around the circle, and one for the mode.
_STEPS = 7.0


@dataclass(frozen=True)
class Costs:
    """What an order costs.

    Attributes:
        between: (N, N), of one track after another; symmetric, 0 on the diagonal.
        at: (N, N), of a track (row) at a position (column).
    """

    between: Matrix
    at: Matrix

    def transition(self, order: Sequence[int]) -> float:
        """Mean cost from track to track."""
        return float(self.between[order[:-1], order[1:]].mean()) if len(order) > 1 else 0.0

    def total(self, order: Sequence[int]) -> float:
        """The objective."""
        return float(self.between[order[:-1], order[1:]].sum() + ARC * self.at[order, np.arange(len(order))].sum())


def in_order(tracks: Sequence[CataloguedTrack], vectors: Mapping[str, Vector]) -> list[int]:
    """Places of the tracks in the order to hear them in; the first stays first.

    Args:
        tracks: N of them.
        vectors: acoustic vectors, each (64,) float32 of L2 norm 1, by track id.
    """
    if len(tracks) <= 2:
        return list(range(len(tracks)))
    costs = costs_of(tracks, vectors)
    order = _built(costs)
    if len(tracks) <= IMPROVED_MAX:
        order = _improved(order, costs)
    return [int(place) for place in order]


def better_order(tracks: Sequence[CataloguedTrack], vectors: Mapping[str, Vector]) -> tuple[list[int], float, float]:
    """An order of a list that is there, and the mean cost from track to track as it stands and so ordered.

    The first stays first; a list whose transitions no new order makes cheaper stays as it is.
    """
    now, costs = list(range(len(tracks))), costs_of(tracks, vectors)
    order = in_order(tracks, vectors)
    before, after = costs.transition(now), costs.transition(order)
    return (order, before, after) if after < before else (now, before, before)


def costs_of(tracks: Sequence[CataloguedTrack], vectors: Mapping[str, Vector]) -> Costs:
    """What each transition and each position costs."""
    features = [track.features or Features() for track in tracks]
    energy = np.array([_number(one.energy) for one in features])
    tempo = np.log2(np.array([one.tempo or np.nan for one in features]))
    octaves = np.abs(tempo[:, None] - tempo)
    parts = (
        (TEMPO, 2 * np.minimum(np.abs(octaves - np.round(octaves)), 0.5)),
        (KEY, _key_steps(features) / _STEPS),
        (ENERGY, np.abs(energy[:, None] - energy)),
        (SOUND, _distances([vectors.get(track.track_id) for track in tracks])),
    )
    between = np.zeros((len(tracks), len(tracks)))
    for weight, part in parts:
        between += weight * _known(part)
    np.fill_diagonal(between, 0.0)
    return Costs(between, _known(np.abs(energy[:, None] - _arc(energy))))


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _known(costs: Matrix) -> Matrix:
    """The costs with the mean where they are unknown."""
    unknown = np.isnan(costs)
    if not unknown.any():
        return costs
    mean = 0.0 if unknown.all() else float(np.nanmean(costs))
    return np.where(unknown, mean, costs)


def _key_steps(features: Sequence[Features]) -> Matrix:
    """Steps on the circle of fifths between the keys, a minor key standing where its relative major does.

    Source: the Camelot wheel, which numbers this circle.
    """
    keys = np.array([np.nan if one.key is None or one.key < 0 else one.key for one in features], float)
    modes = np.array([np.nan if one.mode is None or one.mode < 0 else one.mode for one in features], float)
    places = 7 * (keys + np.where(modes == 0, 3, 0)) % 12
    around = np.abs(places[:, None] - places)
    steps: Matrix = np.minimum(around, 12 - around) + np.nan_to_num(np.abs(modes[:, None] - modes))
    return steps


def _distances(vectors: Sequence[Vector | None]) -> Matrix:
    """Half of one less the cosine: 0 for equal vectors, 1 for opposite ones."""
    known = np.array([vector is not None for vector in vectors])
    distances = np.full((len(vectors), len(vectors)), np.nan)
    if known.any():
        stacked = np.stack([vector for vector in vectors if vector is not None])
        distances[np.ix_(known, known)] = np.clip((1 - stacked @ stacked.T) / 2, 0, 1)
    return distances


def _arc(energy: Matrix) -> Matrix:
    """(N,) the energy wished for at each position: it rises to a peak and comes down again."""
    known = energy[~np.isnan(energy)]
    if not len(known):
        return np.zeros(len(energy))
    low, high = np.percentile(known, (LOW, HIGH))
    along = np.linspace(0, 1, len(energy))
    rising, falling = np.pi / 2 * along / PEAK, np.pi / 2 * (along - PEAK) / (1 - PEAK)
    wished: Matrix = low + (high - low) * np.where(along < PEAK, np.sin(rising), np.cos(falling))
    return wished


def _built(costs: Costs) -> NDArray[np.int64]:
    """At each position the track that costs least after the one before it."""
    count = len(costs.between)
    weights = costs.between + 0.0
    order = np.zeros(count, np.int64)
    weights[:, 0] = np.inf
    for position in range(1, count):
        order[position] = chosen = int((weights[order[position - 1]] + ARC * costs.at[:, position]).argmin())
        weights[:, chosen] = np.inf
    return order


def _improved(order: NDArray[np.int64], costs: Costs) -> NDArray[np.int64]:
    """The order after the exchange of two tracks that saves most, again and again while one does."""
    for _ in range(EXCHANGES):
        saved = _saved_by_exchange(costs.between[np.ix_(order, order)], ARC * costs.at[order])
        one, other = divmod(int(saved.argmax()), len(order))
        if saved[one, other] <= 1e-9:
            break
        order[[one, other]] = order[[other, one]]
    return order


def _saved_by_exchange(between: Matrix, at: Matrix) -> Matrix:
    """(N, N) what it saves to exchange the tracks at two positions; both matrices are by position."""
    count = len(between)
    # What each track costs at each position, by its neighbours there.
    beside = np.zeros((count, count))
    beside[1:] += between[:-1]
    beside[:-1] += between[1:]
    here = beside + at.T
    own = np.diagonal(here)
    saved = own[:, None] + own - here - here.T
    # Neighbours stay beside one another.
    steps = np.arange(count - 1)
    saved[steps, steps + 1] -= 2 * between[steps, steps + 1]
    saved[0] = saved[:, 0] = -np.inf
    return np.triu(saved, 1)
