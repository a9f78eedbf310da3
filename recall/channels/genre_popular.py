"""What people play in the genres that the list starts from; with no genre known, what they play at all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery
from recall.tracks import CataloguedTrack


class PlayCounts(Protocol):
    """Decayed plays of the tracks played most."""

    @property
    def plays(self) -> Mapping[str, float]:
        """Track id -> decayed number of plays."""

    @property
    def most(self) -> float:
        """The greatest of these numbers, 0 when there is none."""

    def most_played(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        """Ids of the tracks played most in any of the genres, or at all when none is named."""


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
        # The counts lag behind the catalogue, which alone knows what is still in it.
        played = [one for one in self._counts.most_played(query.genres, limit) if one not in found]
        found |= {track_id: one.track for track_id, one in (await self._index.fetch(played)).items()}
        ranked = sorted(found.values(), key=lambda track: (-self._worth(track), track.track_id))
        return [Candidate(track, (), _reason(track, query.genres)) for track in ranked[:limit]]

    def _worth(self, track: CataloguedTrack) -> float:
        plays = self._counts.plays.get(track.track_id)
        played = math.log1p(plays) / math.log1p(self._counts.most) if plays else 0.0
        return 0.5 * (track.popularity or 0.0) / 100 + 0.5 * played


def _reason(track: CataloguedTrack, genres: tuple[str, ...]) -> str:
    shared = next((genre for genre in genres if genre in track.genres), None)
    return f"Popular in {shared}" if shared else "Popular now"
