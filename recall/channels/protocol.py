"""What a channel is."""

from __future__ import annotations

from math import ceil
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
    """What a channel may take.

    Attributes:
        limit: at most so many candidates, whatever is asked for; `None` = no bound.
        within_s: seconds; `None` = as long as the request has.
        share: of the candidates that are asked for, where others find much the same.
    """

    limit: int | None = None
    within_s: float | None = None
    share: float = 1.0

    def of(self, asked: int) -> int:
        """How many candidates the channel is asked for."""
        wanted = ceil(self.share * asked)
        return wanted if self.limit is None else min(wanted, self.limit)


UNBOUNDED = Allowance()


class Channel(Protocol):
    """One way to find tracks; it does not hide heard tracks, mix, or know that there are others."""

    name: str

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
