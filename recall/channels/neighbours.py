"""Tracks of the playlists that have most in common with the starts."""

from __future__ import annotations

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import BECAUSE_MAX, RecallQuery
from recall.shelf import Shelf

REASON = "In playlists that share much with what this starts from"


class Neighbours:
    """By the nearest lists, rare tracks in common counting more."""

    name = "neighbours"

    def __init__(self, index: TrackIndex, shelf: Shelf) -> None:
        """Asks the tables on `shelf`; `index` says which tracks are there."""
        self._index = index
        self._shelf = shelf

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        if (asked := self._shelf.asked(query)) is None:
            return []
        tables, held = asked
        ids = [tables.track_ids[row] for row in held.by_neighbours(limit)[0].tolist()]
        known = await self._index.fetch(ids)
        listed = [start for start, is_listed in zip(query.starts, held.listed.tolist(), strict=True) if is_listed]
        because = tuple(start.track.track_id for start in listed[:BECAUSE_MAX])
        return [Candidate(known[one].track, because, REASON) for one in ids if one in known]
