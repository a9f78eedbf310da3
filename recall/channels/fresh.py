"""What the artists that the list starts from have just released."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from recall.channels.protocol import Candidate
from recall.channels.same_artist import wanted_artist
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery, first_day
from recall.tracks import CataloguedTrack

FRESH_MS = 28 * 86_400_000
MOST = 6


class Fresh:
    """Tracks of the query's artists that came into the catalogue in the last four weeks, the latest first.

    For somebody of whom nothing is known, of any artist.
    """

    name = "fresh"

    def __init__(self, index: TrackIndex) -> None:
        """Finds in `index`, by artist and by when a track was added."""
        self._index = index

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        if query.starts and not query.artist_ids:
            return []
        since_ms = query.now_ms - FRESH_MS
        where = dataclasses.replace(query.where, artists_any=query.artist_ids)
        tracks = await self._index.newest(min(limit, MOST), where)
        starts = query.starts_by_artist()
        found = []
        for track in tracks:
            if track.added_at_ms >= since_ms:
                artist_id, name = wanted_artist(track, query.artist_ids)
                found.append(Candidate(track, starts.get(artist_id, ()), f"{_news(track, since_ms)} {name}"))
        return found


def _news(track: CataloguedTrack, since_ms: int) -> str:
    return "New release by" if is_release(track, since_ms) else "Just added, by"


def is_release(track: CataloguedTrack, since_ms: int) -> bool:
    """Whether the track also came out since then, rather than only into the catalogue."""
    released = first_day(track.release_date)
    since_day = int(datetime.fromtimestamp(since_ms / 1000, UTC).strftime("%Y%m%d"))
    return released is not None and released >= since_day
