"""Tracks that lie where the listener leans: like what was heard gladly of late, unlike what was moved on from."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import BECAUSE_MAX, RecallQuery
from recall.shelf import Shelf
from recall.tracks import CataloguedTrack

GLADLY = "Like what you finished of late"
EITHER = "Like what you finished of late, unlike what you skipped"


class WhereLeaning:
    """By the lists that hold tracks together and by sound, in turns; where the request names seeds, these lead."""

    name = "leaning"

    def __init__(self, index: TrackIndex, shelf: Shelf) -> None:
        """Finds in `index`, by acoustic vectors, and asks the tables on `shelf`."""
        self._index = index
        self._shelf = shelf

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        weights = query.leaning.weights
        if query.seeded or limit <= 0 or max(weights.values(), default=0.0) <= 0:
            return []
        by_lists = await self._index.fetch(self._shelf.toward(query, weights, -(-limit // 2)))
        by_sound = await self._by_sound(query, limit - len(by_lists))
        in_turn = zip_longest((one.track for one in by_lists.values()), by_sound)
        found = {track.track_id: track for pair in in_turn for track in pair if track is not None}
        because = tuple(start.track.track_id for start in query.starts if weights.get(start.track.track_id, 0.0) > 0)
        reason = EITHER if min(weights.values()) < 0 else GLADLY
        return [Candidate(track, because[:BECAUSE_MAX], reason) for track in list(found.values())[:limit]]

    async def _by_sound(self, query: RecallQuery, limit: int) -> list[CataloguedTrack]:
        leaning = query.leaning
        length = float(np.linalg.norm(leaning.sound))
        if not length:
            return []
        # What was heard gladly is nearest to where it leads.
        wanted = limit + sum(weight > 0 for weight in leaning.weights.values())
        hits = await self._index.nearest(leaning.sound / np.float32(length), wanted, query.where)
        return [hit.track for hit in hits if hit.track.track_id not in leaning.weights][:limit]
