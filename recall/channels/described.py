"""Tracks that are what words ask for: calm, acoustic, of the eighties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice, zip_longest

import numpy as np

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery
from recall.tracks import ACOUSTIC, CataloguedTrack

# Popular tracks looked at, and those of them nearest to the middle of what was asked for: they show how it sounds.
POOL, CORE = 300, 20


class Described:
    """Popular tracks within what was asked for, the nearest to its middle first, in turn with tracks that sound so."""

    name = "described"

    def __init__(self, index: TrackIndex) -> None:
        """Finds in `index`, by condition, then by its acoustic vectors."""
        self._index = index

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        if query.described is None:
            return []
        popular = await self._index.most_popular(max(POOL, limit), query.where)
        limits = {one.feature: (one.low, one.high) for one in query.where.features}
        fitting = sorted(popular, key=lambda track: (_off(track, limits), -(track.popularity or 0), track.track_id))
        alike = await self._alike(fitting, query, limit)
        distinct: dict[str, CataloguedTrack] = {}
        for track in chain.from_iterable(zip_longest(fitting, alike)):
            if track is not None:
                distinct.setdefault(track.track_id, track)
        reason = f"Fits “{query.described}”"
        return [Candidate(track, (), reason) for track in islice(distinct.values(), limit)]

    async def _alike(self, fitting: Sequence[CataloguedTrack], query: RecallQuery, limit: int) -> list[CataloguedTrack]:
        """Tracks within what was asked for that sound like those that fit best."""
        vectors = await self._index.vectors([track.track_id for track in fitting[:CORE]], using=ACOUSTIC)
        if not vectors:
            return []
        middle = np.mean(list(vectors.values()), axis=0)
        length = float(np.linalg.norm(middle))
        if length == 0:
            return []
        direction = (middle / length).astype(np.float32)
        return [hit.track for hit in await self._index.nearest(direction, limit, query.where, using=ACOUSTIC)]


def _off(track: CataloguedTrack, limits: Mapping[str, tuple[float, float]]) -> float:
    """How far a track is from the middle of the ranges, in half widths, the mean over them; 0 without ranges."""
    distances = []
    for name, (low, high) in limits.items():
        value = getattr(track.features, name, None)
        half = (high - low) / 2
        if value is not None and half > 0:
            distances.append(abs(value - (low + high) / 2) / half)
    return sum(distances) / len(distances) if distances else 0.0
