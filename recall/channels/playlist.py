"""Tracks that people put together with the starts."""

from __future__ import annotations

import math
from itertools import zip_longest

import numpy as np

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.pockets import Pocket, pockets
from recall.query import RecallQuery
from recall.tracks import COOCCURRENCE

POCKETS_MAX = 3
# Asked for beyond the limit, because pockets overlap.
OVERFETCH = 1.25
# Of 20,000 pairs drawn by chance from the 32,732 tracks of 548 playlists, 95 % have a cosine below .26; of pairs from
# one playlist, 99 % have one above .62. A track whose playlists were all withdrawn has 0 with everything.
UNRELATED = 0.26


class InPlaylists:
    """Nearest neighbours of each pocket of the starts by where they occur, the pockets taken in turn."""

    name = "playlist"

    def __init__(self, index: TrackIndex) -> None:
        """Finds in `index`, by the vectors learned from playlists and sessions."""
        self._index = index

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        groups = pockets(query.starts, query.breadth, POCKETS_MAX, COOCCURRENCE, thread=query.seeded)
        each = math.ceil(limit * OVERFETCH / max(1, len(groups)))
        found = [await self._near(query, pocket, each) for pocket in groups]
        in_turn = (candidate for rank in zip_longest(*found) for candidate in rank if candidate is not None)
        distinct: dict[str, Candidate] = {}
        for candidate in in_turn:
            distinct.setdefault(candidate.track.track_id, candidate)
        return list(distinct.values())[:limit]

    async def _near(self, query: RecallQuery, pocket: Pocket, limit: int) -> list[Candidate]:
        hits = await self._index.nearest(pocket.direction, limit, query.where, using=COOCCURRENCE)
        # Named is the start that stands best for all of them.
        order = np.argsort(-(pocket.vectors @ pocket.direction), kind="stable")
        nearest = [pocket.members[at] for at in order[:3]]
        because = tuple(start.track.track_id for start in nearest)
        reason = f"Often in playlists with {nearest[0].track.title}"
        return [Candidate(hit.track, because, reason) for hit in hits if hit.score > UNRELATED]
