"""The plays counted here, kept at hand for the channels: read once in a while, never while answering."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Protocol

from recall.errors import IndexUnavailable
from recall.index.protocol import TrackIndex
from recall.tracks import IndexedTrack
from streams.errors import StoreUnavailable
from streams.state.popularity import Trend

log = logging.getLogger(__name__)

# Rests between two readings, and in terms of the time that one takes: what answers wait for meanwhile.
REFRESH_S, REST, LONGEST_S = 2.0, 50, 20.0
COUNTED_MAX = 5_000
# Of these the genres are known, so that a genre's most played are found whatever the catalogue says of popularity.
PLACED_MAX = 500
# A track rises when its plays of late are so many times those that its past would have it, and surely so.
RISES_FROM, SURE_FROM = 1.5, 2.0


class Popularity(Protocol):
    """Decayed plays over all partitions."""

    async def popular(self, limit: int, *, now_ms: int) -> Sequence[tuple[str, float]]:
        """The tracks played most, the most first, with their decayed number of plays."""

    async def trends(self, *, now_ms: int) -> Sequence[Trend]:
        """Plays of the last days, and all, of the tracks played most of late."""


class PlayBoard:
    """Decayed plays of the tracks played most, and what rises, by genre through the catalogue; some seconds old.

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
        # Tracks by how sure it is that they rise, the surest first.
        self._rising: Mapping[str, float] = {}
        self._rising_by_genre: Mapping[str, Sequence[str]] = {}

    def most_played(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        """Ids of the tracks played most in any of the genres, or at all when none is named."""
        if not genres:
            return self._ranked[:limit]
        return _greatest(self.plays, genres, self._by_genre, limit)

    def rising(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        """Ids of the tracks that rise most surely in any of the genres, or at all when none is named."""
        if not genres:
            return list(self._rising)[:limit]
        return _greatest(self._rising, genres, self._rising_by_genre, limit)

    async def refresh(self) -> None:
        """Read the counts and the tracks anew."""
        now_ms = int(time.time() * 1000)
        counted = dict(await self._popularity.popular(COUNTED_MAX, now_ms=now_ms))
        rising = dict(rises(await self._popularity.trends(now_ms=now_ms)))
        known = await self._index.fetch([*dict.fromkeys([*list(counted)[:PLACED_MAX], *rising])])
        ranked = [track_id for track_id in list(counted)[:PLACED_MAX] if track_id in known]
        self.plays = counted
        self.most = max(counted.values(), default=0.0)
        self._ranked, self._by_genre = ranked, _by_genre(ranked, known)
        self._rising = {track_id: sure for track_id, sure in rising.items() if track_id in known}
        self._rising_by_genre = _by_genre(self._rising, known)

    async def keep_fresh(self) -> None:
        """Refresh for ever; while a store is away the last counts serve."""
        while True:
            began_s = time.monotonic()
            try:
                await self.refresh()
            except (StoreUnavailable, IndexUnavailable) as error:
                log.warning("plays are not refreshed: %s", error)
            await asyncio.sleep(min(LONGEST_S, max(REFRESH_S, REST * (time.monotonic() - began_s))))


def rises(trends: Sequence[Trend]) -> list[tuple[str, float]]:
    """The tracks that rise, with how sure that is, the surest first, ties by id.

    A track's plays of late are compared with those that its whole past would have it, had it been played as evenly as
    the one in the middle; sure is the difference in standard deviations of a count. So a day on which everything is
    played more, or the first day of an installation, makes nothing rise.
    """
    shares = [one.recent / one.plays for one in trends if one.plays > 0]
    if not shares:
        return []
    even = median(shares)
    found = []
    for one in trends:
        expected = even * one.plays
        sure = (one.recent - expected) / math.sqrt(expected + 1)
        if one.recent >= RISES_FROM * expected and sure >= SURE_FROM:
            found.append((one.track_id, sure))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _by_genre(track_ids: Iterable[str], known: Mapping[str, IndexedTrack]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for track_id in track_ids:
        for genre in known[track_id].track.genres:
            found.setdefault(genre, []).append(track_id)
    return found


def _greatest(
    values: Mapping[str, float], genres: Sequence[str], by_genre: Mapping[str, Sequence[str]], limit: int
) -> Sequence[str]:
    distinct = {track_id for genre in genres for track_id in by_genre.get(genre, ())}
    return heapq.nlargest(limit, distinct, key=lambda track_id: (values[track_id], track_id))
