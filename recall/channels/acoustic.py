"""Tracks that sound like the starts, within compatible genres."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import zip_longest

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery, Start, pockets
from recall.tracks import ACOUSTIC, Vector

POCKETS_MAX = 3
# Asked for beyond the limit, because pockets overlap.
OVERFETCH = 1.25


@lru_cache(20_000)
def words(genres: tuple[str, ...]) -> frozenset[str]:
    """The words that genres are named with.

    >>> sorted(words(("modern rock", "dance pop")))
    ['dance', 'modern', 'pop', 'rock']
    """
    return frozenset(" ".join(genres).split())


def compatible(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two sets of genres go together, by their words: they share one, or either is unknown.

    >>> rock = words(("modern rock",))
    >>> compatible(rock, words(("alternative rock",))), compatible(rock, words(("reggaeton",)))
    (True, False)
    """
    return not one or not other or not one.isdisjoint(other)


class Acoustic:
    """Nearest neighbours of each pocket of the starts, the pockets taken in turn.

    Attributes:
        name: of the vectors that it compares: our own, or those of another model of sound.
    """

    def __init__(self, index: TrackIndex, name: str = ACOUSTIC) -> None:
        """Finds in `index`, by its vectors of this name."""
        self.name = name
        self._index = index

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        groups = pockets(query.starts, query.breadth, POCKETS_MAX, self.name)
        each = math.ceil(limit * OVERFETCH / max(1, len(groups)))
        found = [await self._near(query, direction, members, each) for direction, members in groups]
        in_turn = (candidate for rank in zip_longest(*found) for candidate in rank if candidate is not None)
        distinct: dict[str, Candidate] = {}
        for candidate in in_turn:
            distinct.setdefault(candidate.track.track_id, candidate)
        return list(distinct.values())[:limit]

    async def _near(
        self, query: RecallQuery, direction: Vector, members: tuple[Start, ...], limit: int
    ) -> list[Candidate]:
        hits = await self._index.nearest(direction, limit, query.where, using=self.name)
        genres = words(tuple(dict.fromkeys(genre for start in members for genre in start.track.genres)))
        because = tuple(start.track.track_id for start in members[:3])
        reason = f"Sounds like {members[0].track.title}"
        # What does not go together comes after all that does, rather than not at all.
        ordered = sorted(hits, key=lambda hit: not compatible(words(hit.track.genres), genres))
        return [Candidate(hit.track, because, reason) for hit in ordered]
