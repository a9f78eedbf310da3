"""What the artists that the list starts from have just released."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from recall.channels.protocol import Candidate
from recall.channels.same_artist import wanted_artist
from recall.index.protocol import TrackFilter, TrackIndex
from recall.query import RecallQuery, first_day
from recall.tracks import CataloguedTrack

FRESH_MS = 28 * 86_400_000
MOST = 6


class Fresh:
    """Tracks of the query's artists that came into the catalogue in the last four weeks, the latest first.

    For somebody of whom nothing is known, of any artist. Where releases are all that is wanted, those that came out in
    these weeks, whenever they came into the catalogue, and not only a few.
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
        tracks = await newest(self._index, query, where, limit if query.releases else min(limit, MOST))
        starts = query.starts_by_artist()
        found = []
        for track in tracks:
            artist_id, name = wanted_artist(track, query.artist_ids)
            found.append(Candidate(track, starts.get(artist_id, ()), f"{_news(track, since_ms)} {name}"))
        return found


async def newest(index: TrackIndex, query: RecallQuery, where: TrackFilter, limit: int) -> list[CataloguedTrack]:
    """At most so many tracks that are new, the latest first; where only releases are wanted, by when they came out."""
    since_ms = query.now_ms - FRESH_MS
    if not query.releases:
        return [track for track in await index.newest(limit, where) if track.added_at_ms >= since_ms]
    released_from = max(day_of(since_ms), where.released_from or 0)
    tracks = await index.newest(limit, dataclasses.replace(where, released_from=released_from))
    return sorted(tracks, key=lambda track: (-(first_day(track.release_date) or 0), track.track_id))


def _news(track: CataloguedTrack, since_ms: int) -> str:
    return "New release by" if is_release(track, since_ms) else "Just added, by"


def is_release(track: CataloguedTrack, since_ms: int) -> bool:
    """Whether the track also came out since then, rather than only into the catalogue."""
    released = first_day(track.release_date)
    return released is not None and released >= day_of(since_ms)


def day_of(at_ms: int) -> int:
    """`YYYYMMDD` of a time in UTC."""
    return int(datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m%d"))
