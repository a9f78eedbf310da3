"""What people play in the genres that the list starts from; with no genre known, what they play at all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Protocol

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery
from recall.tracks import CataloguedTrack


class PlayCounts(Protocol):
    """Decayed plays of the tracks played most, and those tracks themselves."""

    @property
    def plays(self) -> Mapping[str, float]:
        """Track id -> decayed number of plays."""

    @property
    def tracks(self) -> Mapping[str, CataloguedTrack]:
        """The tracks played most that are in the catalogue."""


class GenrePopular:
    """The catalogue's own popularity and the plays counted here, half and half."""

    name = "genre_popular"

    def __init__(self, index: TrackIndex, counts: PlayCounts) -> None:
        """Finds in `index`, by genre and popularity; `counts` is read at each request."""
        self._index = index
        self._counts = counts

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        where = query.where
        if query.genres and not where.genres_any:
            where = dataclasses.replace(where, genres_any=query.genres)
        found = {track.track_id: track for track in await self._index.most_popular(limit, where)}
        found |= self._played(query)
        best = max(self._counts.plays.values(), default=0.0)
        ranked = sorted(found.values(), key=lambda track: (-self._worth(track, best), track.track_id))
        return [Candidate(track, (), _reason(track, query.genres)) for track in ranked[:limit]]

    def _played(self, query: RecallQuery) -> dict[str, CataloguedTrack]:
        wanted = set(query.genres)
        return {
            track_id: track
            for track_id, track in self._counts.tracks.items()
            if not wanted or not wanted.isdisjoint(track.genres)
        }

    def _worth(self, track: CataloguedTrack, best: float) -> float:
        plays = self._counts.plays.get(track.track_id, 0.0)
        played = math.log1p(plays) / math.log1p(best) if best > 0 else 0.0
        return 0.5 * (track.popularity or 0.0) / 100 + 0.5 * played


def _reason(track: CataloguedTrack, genres: tuple[str, ...]) -> str:
    shared = next((genre for genre in genres if genre in track.genres), None)
    return f"Popular in {shared}" if shared else "Popular now"
