"""How much of what playlists go on with the running pipeline finds: by channel and in all, beside plain ways.

The cases, what may be learned from and what may be proposed are those of streams/continuation.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TooFewTracks
from models.quality import bootstrap
from models.ranked import LENGTH, MEASURES, RECALL_AT, best_first, figures_of
from streams.continuation import (
    CASE_MIN,
    FOLDS,
    GIVEN,
    Case,
    Figures,
    Known,
    OnStep,
    Ranker,
    Way,
    cases_of,
    learned_from,
    proposed_by,
    rows_of,
    summary,
)
from streams.labelled import Catalogue, Labels

RECALL = f"recall@{LENGTH}"
ARTISTS = f"artists@{RECALL_AT}"


@dataclass(frozen=True)
class Proposed:
    """What is proposed to one that holds some tracks.

    Attributes:
        rows: distinct, the best first, at most `LENGTH`.
        found_by: channel -> those of the rows that it found.
    """

    rows: Labels
    found_by: Mapping[str, Labels] = field(default_factory=dict)


Proposer = Callable[[Labels], Proposed]


def proposes(ranker: Ranker, known: Known) -> Proposer:
    """What a way by scores proposes."""
    return lambda held: Proposed(best_first(proposed_by(ranker, known, held), LENGTH))


def compare(
    catalogue: Catalogue,
    pipeline: Callable[[Known], Proposer],
    ways: Mapping[str, Way],
    given: str,
    *,
    seed: int,
    folds: int = FOLDS,
    on_step: OnStep = lambda done, total, doing: None,
) -> dict[str, Any]:
    """The figures of the pipeline, of its channels, and of each way beside it.

    Args:
        catalogue: tracks and playlists; a fifth of these in turn is asked about and not learned from.
        pipeline: learns, then proposes; what it found is told by channel.
        ways: what it is held against.
        given: `first 5` or `half` of a playlist.
        seed: of the folds and the intervals.
        folds: of five, how many are asked about in turn.
        on_step: told what is under way.

    Returns:
        `ways` and `differences` as `continuation.compare`, with the share of a list's first hundred that its different
        artists are; `reached`, the share of the catalogue's tracks that come in at least one list; and of each channel
        the `recall` of what it found in the answers, and of what it `alone` found.

    Raises:
        TooFewTracks: no playlist is long enough to ask about.
    """
    lists, strangers = rows_of(catalogue)
    long_enough = [place for place, one in enumerate(lists) if len(one) >= CASE_MIN]
    if len(long_enough) < FOLDS:
        raise TooFewTracks(f"expected {FOLDS} playlists of {CASE_MIN} tracks or more, got {len(long_enough)}")
    fold_of = np.random.default_rng(seed).permutation(len(lists)) % FOLDS
    asked = {name: Tally(catalogue) for name in ("pipeline", *ways)}
    clusters: list[int] = []
    for fold in range(folds):
        known = learned_from(catalogue, lists, strangers, fold_of != fold)
        cases = list(cases_of(lists, [one for one in long_enough if fold_of[one] == fold], GIVEN[given]))
        clusters += [case.playlist for case in cases]
        for at, (name, tally) in enumerate(asked.items()):
            on_step(fold * len(asked) + at, folds * len(asked), f"fold {fold + 1} of {folds}: {name}")
            propose = pipeline(known) if name == "pipeline" else proposes(ways[name](known), known)
            for case in cases:
                tally.note(case, propose(case.held))
    on_step(1, 1, "done")
    rows = np.array(clusters)
    figures = {name: tally.figures for name, tally in asked.items()}
    return {
        "given": given,
        "folds": folds,
        "cases": len(clusters),
        "candidates": len(catalogue.tracks),
        **summary(rows, figures, seed, (*MEASURES, RECALL, ARTISTS)),
        "reached": {name: round(float(tally.reached.mean()), 4) for name, tally in asked.items()},
        "channels": asked["pipeline"].by_channel(rows, seed),
    }


class Tally:
    """Figures of one way, case by case.

    Attributes:
        figures: (6,) of each case: `MEASURES`, the recall of the whole list, and its artists.
        reached: (N,) whether a track of the catalogue came in any list.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._artists = catalogue.artists
        self.figures: list[Figures] = []
        self.reached: NDArray[np.bool_] = np.zeros(len(catalogue.tracks), bool)
        self._found: list[Mapping[str, tuple[float, float]]] = []

    def note(self, case: Case, proposed: Proposed) -> None:
        """Count one case in."""
        rows = proposed.rows[:LENGTH]
        whole = np.isin(case.wanted, rows).mean()
        self.figures.append(np.array([*figures_of(rows, case.wanted), whole, self._variety(rows[:RECALL_AT])]))
        self.reached[rows[rows < len(self.reached)]] = True
        self._found.append(dict(shares_found(proposed.found_by, case.wanted)))

    def by_channel(self, clusters: Labels, seed: int) -> dict[str, Any]:
        """Of each channel the recall of what it found, and of what nobody else found, with intervals."""
        interval = bootstrap(clusters, seed)
        names = sorted({name for one in self._found for name in one})
        found: dict[str, Any] = {}
        for name in names:
            columns = np.array([one.get(name, (0.0, 0.0)) for one in self._found]).T
            found[name] = {
                told: {"value": round(float(column.mean()), 4), "interval": [round(end, 4) for end in interval(column)]}
                for told, column in zip(("recall", "alone"), columns, strict=True)
            }
        return found

    def _variety(self, rows: Labels) -> float:
        """Different artists by the tracks whose artist is known; 0 where none is."""
        artists = self._artists[rows[rows < len(self._artists)]]
        artists = artists[artists >= 0]
        return len(np.unique(artists)) / len(artists) if len(artists) else 0.0


def shares_found(found_by: Mapping[str, Labels], wanted: Labels) -> Iterator[tuple[str, tuple[float, float]]]:
    """Of each channel the share of what is wanted that it found, and that no other did."""
    hits = {name: np.isin(wanted, rows) for name, rows in found_by.items()}
    times = np.sum(list(hits.values()), axis=0) if hits else np.zeros(len(wanted))
    for name, one in hits.items():
        yield name, (float(one.mean()), float((one & (times == 1)).mean()))


def told_by(answers: Sequence[tuple[int, Any]]) -> Proposed:
    """What the pipeline proposed, of rows with the items that it answered."""
    found: dict[str, list[int]] = {}
    for row, item in answers:
        for name in item.channels:
            found.setdefault(name, []).append(row)
    rows = np.array([row for row, _ in answers], dtype=np.int64)
    return Proposed(rows, {name: np.array(some, dtype=np.int64) for name, some in found.items()})
