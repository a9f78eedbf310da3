"""What the person themselves likes, for lists that may hold what they know."""

from __future__ import annotations

from recall.channels.protocol import Candidate
from recall.query import RecallQuery

REASON = "You like it"


class Anchors:
    """What they finished, liked or saved, each halved for every month of age; heard ones are filtered after recall."""

    name = "anchors"

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Nothing where the request names its own starts."""
        if query.seeded:
            return []
        return [Candidate(start.track, (start.track.track_id,), REASON) for start in query.starts[: max(0, limit)]]
