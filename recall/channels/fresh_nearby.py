"""What has just come out near what the person likes, whoever made it."""

from __future__ import annotations

import dataclasses

from recall.channels.fresh import FRESH_MS, is_release, newest
from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.pockets import pockets
from recall.query import RecallQuery
from recall.tracks import CataloguedTrack, matrix

MOST = 6
# Looked at for each that is offered.
OVERFETCH = 2
POCKETS_MAX = 3


class FreshNearby:
    """Tracks of the starts' genres that came into the catalogue in the last four weeks.

    Those that sound most like a pocket of the starts come first.
    """

    name = "fresh_nearby"

    def __init__(self, index: TrackIndex) -> None:
        """Finds in `index`, by genre and by when a track was added."""
        self._index = index

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        most = limit if query.releases else min(limit, MOST)
        if not query.genres or most <= 0:
            return []
        where = dataclasses.replace(query.where, genres_any=query.where.genres_any or query.genres)
        since_ms = query.now_ms - FRESH_MS
        fresh = {track.track_id: track for track in await newest(self._index, query, where, OVERFETCH * most)}
        groups = pockets(query.starts, query.breadth, POCKETS_MAX, thread=query.seeded) if fresh else ()
        if not groups:
            return []
        known = await self._index.vectors(list(fresh))
        directions = matrix([group.direction for group in groups])
        likeness = {track_id: directions @ vector for track_id, vector in known.items()}
        ordered = sorted(likeness, key=lambda track_id: (-float(likeness[track_id].max()), track_id))[:most]
        return [
            Candidate(
                fresh[track_id],
                tuple(start.track.track_id for start in groups[int(likeness[track_id].argmax())].members[:3]),
                _reason(fresh[track_id], query.genres, since_ms),
            )
            for track_id in ordered
            if track_id in fresh
        ]


def _reason(track: CataloguedTrack, wanted: tuple[str, ...], since_ms: int) -> str:
    shared = next((genre for genre in wanted if genre in track.genres), "what you listen to")
    return f"{'New' if is_release(track, since_ms) else 'Just added'} in {shared}"
