"""Candidates in an order, with their scores in columns: hundreds are ranked, and a few are shown and need words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from models.bandit import Array
from recall.merge import Merged
from recall.tracks import CataloguedTrack

# Term -> for each candidate what to tell a listener, or `None`.
Reasons = Mapping[str, Sequence[str | None]]
Rows = NDArray[np.intp]


class Scored(Sequence[Merged]):
    """Candidates, each with the terms that it came with and those that were added since.

    One is put together when it is asked for: what was added is in columns until then.
    """

    def __init__(
        self,
        candidates: Sequence[Merged],
        added: Mapping[str, Array] | None = None,
        reasons: Reasons | None = None,
        because: Sequence[str | None] = (),
    ) -> None:
        """Use `of` and `plus`, which make the parts."""
        self.candidates = candidates
        self._added: Mapping[str, Array] = added or {}
        self._reasons: Reasons = reasons or {}
        self._because = because

    @classmethod
    def of(cls, candidates: Sequence[Merged]) -> Scored:
        """The candidates as they are."""
        return candidates if isinstance(candidates, Scored) else cls(candidates)

    def __len__(self) -> int:
        return len(self.candidates)

    @overload
    def __getitem__(self, at: int) -> Merged: ...
    @overload
    def __getitem__(self, at: slice) -> list[Merged]: ...
    def __getitem__(self, at: int | slice) -> Merged | list[Merged]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        came = self.candidates[at]
        added = {name: term for name, terms in self._added.items() if (term := float(terms[at]))}
        if not added:
            return came
        reasons = {name: said[at] for name, said in self._reasons.items() if name in added}
        start = self._because[at] if self._because else None
        return replace(
            came,
            contributions={**came.contributions, **added},
            reasons={**came.reasons, **{name: said for name, said in reasons.items() if said is not None}},
            because=came.because if start is None or start in came.because else (*came.because, start),
        )

    @cached_property
    def tracks(self) -> list[CataloguedTrack]:
        """Of the candidates."""
        return [one.track for one in self.candidates]

    @cached_property
    def scores(self) -> Array:
        """(N,) the sums of their terms."""
        scores = np.array([sum(one.contributions.values()) for one in self.candidates], np.float64)
        for terms in self._added.values():
            scores = scores + terms
        return scores

    @cached_property
    def _brought(self) -> frozenset[str]:
        """Names of the terms that candidates came with."""
        return frozenset().union(*(one.contributions for one in self.candidates))

    def term(self, name: str) -> Array:
        """(N,) what one term adds to each score; 0 where it has no say."""
        terms = self._added.get(name)
        if name in self._brought:
            own = np.array([one.contributions.get(name, 0.0) for one in self.candidates])
            return own if terms is None else own + terms
        return np.zeros(len(self)) if terms is None else terms

    def plus(
        self, terms: Mapping[str, Array], reasons: Reasons | None = None, because: Sequence[str | None] = ()
    ) -> Scored:
        """The same with more terms, each (N,); those that are there already must be others.

        Args:
            terms: where one is 0, it has no say.
            reasons: of these terms.
            because: ids of the starts that are behind them.
        """
        more = Scored(
            self.candidates,
            {**self._added, **terms},
            {**self._reasons, **(reasons or {})},
            because or self._because,
        )
        if "scores" in self.__dict__:
            more.scores = sum(terms.values(), self.scores)
        return more

    def take(self, rows: Rows) -> Scored:
        """Some of them, in the order of these rows."""
        places: list[int] = rows.tolist()
        taken = Scored(
            [self.candidates[at] for at in places],
            {name: terms[rows] for name, terms in self._added.items()},
            {name: [said[at] for at in places] for name, said in self._reasons.items()},
            [self._because[at] for at in places] if self._because else (),
        )
        if "scores" in self.__dict__:
            taken.scores = self.scores[rows]
        return taken

    def best_first(self) -> Scored:
        """The same by score, those whose score is no number last, ties by track id."""
        worst_last = np.where(np.isfinite(self.scores), -self.scores, np.inf)
        order: Rows = np.argsort(worst_last)
        # Names are long to sort by, and hardly ever needed.
        ordered = worst_last[order]
        if not (ordered[1:] > ordered[:-1]).all():
            order = np.lexsort((np.array([track.track_id for track in self.tracks]), worst_last))
        return self.take(order)
