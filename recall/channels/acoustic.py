"""Tracks that sound like the starts, within compatible genres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.pockets import Pocket, pockets, soft_top_k
from recall.query import RecallQuery
from recall.tracks import ACOUSTIC, CataloguedTrack, matrix

POCKETS_MAX = 4
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
        groups = pockets(query.starts, query.breadth, POCKETS_MAX, self.name, thread=query.seeded)
        each = math.ceil(limit * OVERFETCH / max(1, len(groups)))
        found = [await self._near(query, pocket, each) for pocket in groups]
        in_turn = (candidate for rank in zip_longest(*found) for candidate in rank if candidate is not None)
        distinct: dict[str, Candidate] = {}
        for candidate in in_turn:
            distinct.setdefault(candidate.track.track_id, candidate)
        return list(distinct.values())[:limit]

    async def _near(self, query: RecallQuery, pocket: Pocket, limit: int) -> list[Candidate]:
        tracks = [hit.track for hit in await self._index.nearest(pocket.direction, limit, query.where, using=self.name)]
        if len(pocket.members) > 1:
            tracks = await self._by_starts(tracks, pocket)
        genres = words(tuple(dict.fromkeys(genre for start in pocket.members for genre in start.track.genres)))
        because = tuple(start.track.track_id for start in pocket.members[:3])
        reason = f"Sounds like {pocket.members[0].track.title}"
        # What does not go together comes after all that does, rather than not at all.
        ordered = sorted(tracks, key=lambda track: not compatible(words(track.genres), genres))
        return [Candidate(track, because, reason) for track in ordered]

    async def _by_starts(self, tracks: Sequence[CataloguedTrack], pocket: Pocket) -> list[CataloguedTrack]:
        """Those most like some of the pocket's starts first: its middle may be like none of them."""
        vectors = await self._index.vectors([track.track_id for track in tracks], using=self.name)
        placed = [track for track in tracks if track.track_id in vectors]
        if not placed:
            return []
        scores = soft_top_k(matrix([vectors[track.track_id] for track in placed]), pocket)
        ranked = sorted(zip(scores.tolist(), placed, strict=True), key=lambda one: (-one[0], one[1].track_id))
        return [track for _, track in ranked]
