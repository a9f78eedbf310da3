"""The collaborative tables that serve now, and what they say to the one who asks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from models.collaborative import Rows, Scores
from models.holding import Holding
from models.items import Items
from models.ranked import best_first
from models.tables import Tables
from recall.columns import columns_of
from recall.query import RecallQuery
from recall.tracks import CataloguedTrack, Vector

# Requests that are being answered at once, and a few more.
ASKED_MAX = 64


class Shelf:
    """Tables by which requests are answered; others may take their place at any time, between two requests."""

    def __init__(self, tables: Tables | None = None) -> None:
        self._tables = tables
        self._asked: OrderedDict[int, tuple[RecallQuery, Tables, Holding]] = OrderedDict()

    def put(self, tables: Tables) -> None:
        """Let these answer from now on; a request that is being answered keeps those that it began with."""
        self._tables = tables

    def asked(self, query: RecallQuery) -> tuple[Tables, Holding] | None:
        """The tables and what they say for the starts of a query, worked out once; `None` without tables or starts."""
        if (met := self._asked.get(id(query))) is not None and met[0] is query:
            return met[1], met[2]
        if self._tables is None or not query.starts:
            return None
        held = holding(self._tables, query)
        self._asked[id(query)] = query, self._tables, held
        if len(self._asked) > ASKED_MAX:
            self._asked.popitem(last=False)
        return self._tables, held

    def judges(self, query: RecallQuery) -> bool:
        """Whether something was learned of which candidates go with the starts of a query."""
        return (met := self.asked(query)) is not None and met[0].prior is not None

    def scores(
        self, query: RecallQuery, candidates: Sequence[CataloguedTrack], vectors: Mapping[str, Vector]
    ) -> Scores:
        """(C,) log-odds that each candidate goes with the starts of a query that this `judges`.

        Args:
            query: the request.
            candidates: in any order.
            vectors: acoustic vectors by track id, of those candidates that `newcomers` names.
        """
        met = self.asked(query)
        if met is None or met[0].prior is None:
            raise ValueError("expected a query that can be judged, got one without tables or starts")
        tables, held = met
        rows = tables.rows([track.track_id for track in candidates])
        return met[0].prior.scores(held, rows, items_of(tables, rows, candidates, vectors))

    def by_lists(
        self, query: RecallQuery, weights: Mapping[str, float], candidates: Sequence[CataloguedTrack]
    ) -> tuple[Scores, Scores]:
        """What the lists that hold tracks together say of candidates, by the cosines of their factors.

        Args:
            query: the request.
            weights: of tracks, by id.
            candidates: in any order.

        Returns:
            (C,) the greatest cosine to one of the starts of the query, 0..1, and (C,) the sum of the cosines to the
            tracks that have a weight, times it; 0 where nothing was learned of either.
        """
        if (met := self.asked(query)) is None:
            return np.zeros(len(candidates), np.float32), np.zeros(len(candidates), np.float32)
        tables, held = met
        directions = tables.learned.directions_of(tables.rows([track.track_id for track in candidates]))
        return held.likeness(directions), directions @ _toward(tables, weights)

    def toward(self, query: RecallQuery, weights: Mapping[str, float], most: int) -> list[str]:
        """Ids of the tracks with the greatest such sums, if they are above 0, and none of those that have a weight."""
        if (met := self.asked(query)) is None:
            return []
        tables, _ = met
        scores = tables.learned.listed_directions @ _toward(tables, weights)
        first = best_first(scores, most + len(weights))
        rows = tables.learned.listed[first[scores[first] > 0]].tolist()
        found = (tables.track_ids[row] for row in rows)
        return [track_id for track_id in found if track_id not in weights][:most]

    def newcomers(self, query: RecallQuery, candidates: Sequence[CataloguedTrack]) -> list[str]:
        """Ids of the candidates that came after the tables that answer the query."""
        if (met := self.asked(query)) is None:
            return []
        rows = met[0].rows([track.track_id for track in candidates])
        return [candidates[at].track_id for at in np.flatnonzero(rows < 0).tolist()]


def holding(tables: Tables, query: RecallQuery) -> Holding:
    """What the starts of a query are to the tables."""
    tracks = [start.track for start in query.starts]
    rows = tables.rows([track.track_id for track in tracks])
    vectors = {start.track.track_id: start.vector for start in query.starts if start.vector is not None}
    interest = np.array([start.weight for start in query.starts], np.float32)
    return Holding(tables.learned, rows, items_of(tables, rows, tracks, vectors), interest)


def _toward(tables: Tables, weights: Mapping[str, float]) -> Scores:
    """(width,) the sum of the directions of tracks, by their weights."""
    directions = tables.learned.directions_of(tables.rows(list(weights)))
    return np.asarray(np.array(list(weights.values()), np.float32) @ directions)


def items_of(tables: Tables, rows: Rows, tracks: Sequence[CataloguedTrack], vectors: Mapping[str, Vector]) -> Items:
    """The columns of tracks: those of the tables, and made now for tracks that came later."""
    later = np.flatnonzero(rows < 0)
    if not len(later):
        return tables.learned.items.take(rows)
    named = [tracks[at] for at in later.tolist()]
    nothing = np.zeros(tables.learned.items.sounds.shape[1], np.float32)
    sounds = np.stack([vectors.get(track.track_id, nothing) for track in named])
    known = tables.learned.items.take(rows[rows >= 0])
    places = np.empty(len(rows), np.int64)
    places[rows >= 0], places[later] = np.arange(len(known)), len(known) + np.arange(len(later))
    return known.and_then(columns_of(named, sounds)).take(places)
