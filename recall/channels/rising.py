"""What is played more and more in the genres that the list starts from; with no genre known, at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery


class Trends(Protocol):
    """Which tracks are played more than their own past would have it."""

    def rising(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        """Ids of those that rise most, first, in any of the genres, or at all when none is named."""


class Rising:
    """Tracks whose plays of the last days are more than their earlier ones would have it, the surest first."""

    name = "rising"

    def __init__(self, index: TrackIndex, trends: Trends) -> None:
        """Finds in `index`, by id; `trends` is read at each request."""
        self._index = index
        self._trends = trends

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        found = self._trends.rising(query.genres, limit)[: max(0, limit)]
        # The counts lag behind the catalogue, which alone knows what is still in it.
        known = await self._index.fetch(found) if found else {}
        tracks = [known[track_id].track for track_id in found if track_id in known]
        return [Candidate(track, (), _reason(track.genres, query.genres)) for track in tracks]


def _reason(genres: Sequence[str], wanted: Sequence[str]) -> str:
    shared = next((genre for genre in wanted if genre in genres), None)
    return f"Rising in {shared}" if shared else "Rising now"
