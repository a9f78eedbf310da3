"""What a channel is."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from recall.query import RecallQuery
from recall.tracks import CataloguedTrack


class Candidate(Struct, frozen=True, gc=False):
    """A track that a channel found.

    Attributes:
        because: ids of the starts that led to it, the nearest first; empty when none did.
        reason: what to tell a listener, without a full stop.
    """

    track: CataloguedTrack
    because: tuple[str, ...]
    reason: str


class Allowance(Struct, frozen=True, gc=False):
    """What a channel may take: at most so many candidates, within so long; `None` = as the request has it."""

    limit: int | None = None
    within_s: float | None = None


UNBOUNDED = Allowance()


class Channel(Protocol):
    """One way to find tracks; it does not hide heard tracks, mix, or know that there are others."""

    name: str

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
