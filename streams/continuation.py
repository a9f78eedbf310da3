"""Ways to continue a playlist held against how playlists really go on, by playlists that no way has learned from.

The first trap is closed: the candidates of a fold are the given catalogue and the tracks of the playlists learned from.
A track that is only named by the playlists asked about is wanted and cannot be found: were it a candidate, it would be
one because it is wanted. A way proposes scores for all tracks; who may come is decided here, for all ways alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TooFewTracks
from models.quality import bootstrap
from models.ranked import LENGTH, MEASURES, best_first, figures_of
from streams.labelled import Catalogue, Labels

FOLDS = 5
# A playlist that is asked about holds at least so many distinct tracks.
CASE_MIN = 10
FIRST = 5
GIVEN: Mapping[str, Callable[[int], int]] = {"first 5": lambda _: FIRST, "half": lambda length: length // 2}

Figures = NDArray[np.float64]
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Known:
    """What a way may learn from.

    Attributes:
        catalogue: its tracks are the first rows; rows beyond are tracks that only playlists name.
        lists: rows of the playlists learned from, in order.
        candidates: (N,) what may be proposed.
    """

    catalogue: Catalogue
    lists: Sequence[Labels]
    candidates: NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """How many tracks there are."""
        return len(self.candidates)


# Scores of all N tracks for one that holds the rows; the greatest first, -inf for what it does not propose.
Ranker = Callable[[Labels], Scores]
# Learns; called once a fold.
Way = Callable[[Known], Ranker]
# Told how many of how many steps are done, and what is under way.
OnStep = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Case:
    """A playlist that is asked about, by its rows."""

    playlist: int
    held: Labels
    wanted: Labels


def compare(
    catalogue: Catalogue,
    ways: Mapping[str, Way],
    *,
    seed: int,
    folds: int = FOLDS,
    on_step: OnStep = lambda done, total, doing: None,
) -> dict[str, Any]:
    """The figures of each way to go on, and how much better the first is than each other.

    Returns:
        `cases`, and by what was given `ways` (way -> measure -> value and 95 % interval) and `differences` (the first
        less each other, the intervals paired by playlist).

    Raises:
        TooFewTracks: no playlist is long enough to ask about.
    """
    lists, strangers = rows_of(catalogue)
    asked = [place for place, one in enumerate(lists) if len(one) >= CASE_MIN]
    if len(asked) < folds:
        raise TooFewTracks(f"expected {folds} playlists of {CASE_MIN} tracks or more, got {len(asked)}")
    fold_of = np.random.default_rng(seed).permutation(len(lists)) % folds
    found: dict[str, dict[str, list[Figures]]] = {given: {name: [] for name in ways} for given in GIVEN}
    clusters: list[int] = []
    for fold in range(folds):
        known = learned_from(catalogue, lists, strangers, fold_of != fold)
        cases = [place for place in asked if fold_of[place] == fold]
        clusters += cases
        for at, (name, way) in enumerate(ways.items()):
            on_step(fold * len(ways) + at, folds * len(ways), f"fold {fold + 1} of {folds}: {name}")
            ranker = way(known)
            for given, held in GIVEN.items():
                found[given][name] += [answer(ranker, known, case) for case in cases_of(lists, cases, held)]
    on_step(folds * len(ways), folds * len(ways), "done")
    summed = {given: summary(np.array(clusters), figures, seed) for given, figures in found.items()}
    return {"folds": folds, "cases": len(clusters), "candidates": len(catalogue.tracks), "given": summed}


def rows_of(catalogue: Catalogue) -> tuple[list[Labels], int]:
    """Rows of each playlist in its order, tracks that the catalogue has not after its last; and how many these are."""
    rows = {track.track_id: row for row, track in enumerate(catalogue.tracks)}
    known = len(rows)
    lists = [np.array([rows.setdefault(one, len(rows)) for one in ids], dtype=np.int64) for ids in catalogue.lists]
    return lists, len(rows) - known


def learned_from(catalogue: Catalogue, lists: Sequence[Labels], strangers: int, learned: NDArray[np.bool_]) -> Known:
    """What is known to those who see only some of the playlists."""
    kept = [one for one, is_learned in zip(lists, learned, strict=True) if is_learned and len(one)]
    candidates = np.zeros(len(catalogue.tracks) + strangers, dtype=bool)
    candidates[: len(catalogue.tracks)] = True
    for one in kept:
        candidates[one] = True
    return Known(catalogue, kept, candidates)


def answer(ranker: Ranker, known: Known, case: Case) -> Figures:
    """(4,) the measures of what a way puts first among the candidates that are not held."""
    return figures_of(best_first(proposed_by(ranker, known, case.held), LENGTH), case.wanted)


def proposed_by(ranker: Ranker, known: Known, held: Labels) -> Scores:
    """(N,) scores of the candidates that are not held, -inf for all else."""
    scores = np.where(known.candidates, ranker(held), -np.inf).astype(np.float32)
    scores[held] = -np.inf
    return scores


def summary(
    clusters: Labels, figures: Mapping[str, Sequence[Figures]], seed: int, measures: Sequence[str] = MEASURES
) -> dict[str, Any]:
    """Means with intervals of every way, and of the first less each other."""
    interval = bootstrap(clusters, seed)
    tables = {name: np.array(values) for name, values in figures.items()}
    first, *others = tables

    def told(values: Figures) -> dict[str, Any]:
        return {
            measure: {
                "value": round(float(column.mean()), 4),
                "interval": [round(bound, 4) for bound in interval(column)],
            }
            for measure, column in zip(measures, values.T, strict=True)
        }

    return {
        "ways": {name: told(values) for name, values in tables.items()},
        "differences": {name: told(tables[first] - tables[name]) for name in others},
    }


def cases_of(lists: Sequence[Labels], places: Sequence[int], given: Callable[[int], int]) -> Iterator[Case]:
    """The playlists at these places, each cut where `given` says."""
    for place in places:
        one = lists[place]
        cut = given(len(one))
        yield Case(place, one[:cut], one[cut:])
