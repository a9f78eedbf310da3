"""Tracks in the direction of the starts, in a space where tracks that stand in the same playlists are near."""

from __future__ import annotations

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import BECAUSE_MAX, RecallQuery
from recall.shelf import Shelf

REASON = "Fits the playlists that hold what this starts from"


class Factors:
    """By weighted item factors; whoever asks is folded in then, so a new person is served at once."""

    name = "factors"

    def __init__(self, index: TrackIndex, shelf: Shelf) -> None:
        """Asks the tables on `shelf`; `index` says which tracks are there."""
        self._index = index
        self._shelf = shelf

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        if (asked := self._shelf.asked(query)) is None:
            return []
        tables, held = asked
        ids = [tables.track_ids[row] for row in held.by_factors(limit)[0].tolist()]
        known = await self._index.fetch(ids)
        listed = [start for start, is_listed in zip(query.starts, held.listed.tolist(), strict=True) if is_listed]
        because = tuple(start.track.track_id for start in listed[:BECAUSE_MAX])
        return [Candidate(known[one].track, because, REASON) for one in ids if one in known]
