"""Tracks that came next in sessions like this one."""

from __future__ import annotations

from typing import Protocol

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import BECAUSE_MAX, RecallQuery

REASON = "Heard next in sessions like yours"


class PastSessions(Protocol):
    """What people heard before."""

    def next_to(self, track_ids: list[str], limit: int, *, now_ms: int) -> list[tuple[str, float]]:
        """At most `limit` tracks heard near these, the latest of which is last, the best first."""


class Past(Protocol):
    """Holds past sessions."""

    @property
    def sessions(self) -> PastSessions:
        """Those that are known now."""


class SessionNeighbours:
    """By the nearest past sessions, in the order in which tracks were heard."""

    name = "session_neighbours"

    def __init__(self, index: TrackIndex, past: Past) -> None:
        """Asks `past`; `index` says which tracks are there."""
        self._index = index
        self._past = past

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        # The heaviest start is first: it counts as what was heard last.
        starts = [start.track.track_id for start in reversed(query.starts)]
        heard = starts if query.seeded else list(query.session)
        ids = [track_id for track_id, _ in self._past.sessions.next_to(heard, limit, now_ms=query.now_ms)]
        known = await self._index.fetch(ids) if ids else {}
        because = tuple(heard[: -BECAUSE_MAX - 1 : -1])
        return [Candidate(known[one].track, because, REASON) for one in ids if one in known]
