"""Tracks that sound like the starts, within compatible genres."""

from __future__ import annotations

from itertools import chain, zip_longest

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery, Start, pockets
from recall.tracks import ACOUSTIC, Vector

POCKETS_MAX = 3
# Asked for beyond the limit, because some of the nearest are of genres that do not go together.
OVERFETCH = 2


def compatible(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two sets of genres go together: they share a genre or a word of one, or either is unknown.

    >>> compatible(("modern rock",), ("alternative rock",)), compatible(("modern rock",), ("reggaeton",))
    (True, False)
    """
    if not one or not other:
        return True
    return not words(one).isdisjoint(words(other))


def words(genres: tuple[str, ...]) -> frozenset[str]:
    """The words that genres are named with, and their whole names."""
    return frozenset(chain(genres, *(genre.split() for genre in genres)))


class Acoustic:
    """Nearest neighbours of each pocket of the starts, the pockets taken in turn."""

    name = "acoustic"

    def __init__(self, index: TrackIndex) -> None:
        """Finds in `index`, by its acoustic vectors."""
        self._index = index

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        found = [
            await self._near(query, direction, members, limit)
            for direction, members in pockets(query.starts, query.breadth, POCKETS_MAX)
        ]
        in_turn = (candidate for rank in zip_longest(*found) for candidate in rank if candidate is not None)
        distinct = {candidate.track.track_id: candidate for candidate in reversed(list(in_turn))}
        return list(reversed(distinct.values()))[:limit]

    async def _near(
        self, query: RecallQuery, direction: Vector, members: tuple[Start, ...], limit: int
    ) -> list[Candidate]:
        hits = await self._index.nearest(direction, limit * OVERFETCH, query.where, using=ACOUSTIC)
        genres = tuple(dict.fromkeys(genre for start in members for genre in start.track.genres))
        because = tuple(start.track.track_id for start in members[:3])
        reason = f"Sounds like {members[0].track.title}"
        # What does not go together comes after all that does, rather than not at all.
        ordered = sorted(hits, key=lambda hit: not compatible(hit.track.genres, genres))
        return [Candidate(hit.track, because, reason) for hit in ordered[:limit]]
