"""The plays counted here, kept at hand for the channels: read once in a while, never while answering."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from recall.errors import IndexUnavailable
from recall.index.protocol import TrackIndex
from streams.errors import StoreUnavailable

log = logging.getLogger(__name__)

REFRESH_S = 2.0
COUNTED_MAX = 5_000
# Of these the genres are known, so that a genre's most played are found whatever the catalogue says of popularity.
PLACED_MAX = 500


class Popularity(Protocol):
    """Decayed plays over all partitions."""

    async def popular(self, limit: int, *, now_ms: int) -> Sequence[tuple[str, float]]:
        """The tracks played most, the most first, with their decayed number of plays."""


class PlayBoard:
    """Decayed plays of the tracks played most, by genre through the catalogue; at most `REFRESH_S` old.

    Genres are the catalogue's at the time of reading: a track that arrives after its plays, or changes its genres,
    counts where it now belongs.
    """

    def __init__(self, popularity: Popularity, index: TrackIndex) -> None:
        self._popularity = popularity
        self._index = index
        self.plays: Mapping[str, float] = {}
        self.most = 0.0
        self._ranked: Sequence[str] = ()
        self._by_genre: Mapping[str, Sequence[str]] = {}

    def most_played(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        """Ids of the tracks played most in any of the genres, or at all when none is named."""
        if not genres:
            return self._ranked[:limit]
        distinct = {track_id for genre in genres for track_id in self._by_genre.get(genre, ())}
        return heapq.nlargest(limit, distinct, key=lambda track_id: (self.plays[track_id], track_id))

    async def refresh(self) -> None:
        """Read the counts and the tracks anew."""
        counted = dict(await self._popularity.popular(COUNTED_MAX, now_ms=int(time.time() * 1000)))
        known = await self._index.fetch(list(counted)[:PLACED_MAX])
        by_genre: dict[str, list[str]] = {}
        for track_id, indexed in known.items():
            for genre in indexed.track.genres:
                by_genre.setdefault(genre, []).append(track_id)
        self.plays = counted
        self.most = max(counted.values(), default=0.0)
        self._ranked, self._by_genre = list(known), by_genre

    async def keep_fresh(self) -> None:
        """Refresh for ever; while a store is away the last counts serve."""
        while True:
            try:
                await self.refresh()
            except (StoreUnavailable, IndexUnavailable) as error:
                log.warning("plays are not refreshed: %s", error)
            await asyncio.sleep(REFRESH_S)
