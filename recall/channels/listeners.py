"""What people hear who listen to what the list starts from."""

from __future__ import annotations

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery
from recall.shelf import Shelf


class Listeners:
    """By listeners alike, whose tracks are summed by track before anybody asks."""

    name = "listeners"

    def __init__(self, index: TrackIndex, shelf: Shelf) -> None:
        """Asks the tables on `shelf`; `index` says which tracks are there."""
        self._index = index
        self._shelf = shelf

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        if (asked := self._shelf.asked(query)) is None or (listeners := asked[0].listeners) is None:
            return []
        tables, held = asked
        rows, _, sayers = listeners.candidates(held.rows, held.interest, limit)
        ids = [tables.track_ids[row] for row in rows.tolist()]
        known = await self._index.fetch(ids) if ids else {}
        return [
            Candidate(known[one].track, (start.track_id,), f"Heard by people who listen to {start.title}")
            for one, start in zip(ids, (query.starts[at].track for at in sayers.tolist()), strict=True)
            if one in known
        ]
