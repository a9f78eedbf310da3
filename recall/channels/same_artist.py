"""More by the artists that the list starts from."""

from __future__ import annotations

import dataclasses

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery
from recall.tracks import CataloguedTrack


class SameArtist:
    """The most popular tracks of the query's artists."""

    name = "same_artist"

    def __init__(self, index: TrackIndex) -> None:
        """Finds in `index`, by artist."""
        self._index = index

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        if not query.artist_ids:
            return []
        where = dataclasses.replace(query.where, artists_any=query.artist_ids)
        tracks = await self._index.most_popular(limit, where)
        return [
            Candidate(track, starts_by(query, track), f"More by {artist_name(track, query.artist_ids)}")
            for track in tracks
        ]


def starts_by(query: RecallQuery, track: CataloguedTrack) -> tuple[str, ...]:
    """The starts that share an artist with the track, heaviest first."""
    artists = set(track.artist_ids)
    return tuple(start.track.track_id for start in query.starts if not artists.isdisjoint(start.track.artist_ids))[:3]


def artist_name(track: CataloguedTrack, wanted: tuple[str, ...]) -> str:
    """The name of the track's artist that was wanted."""
    for artist in track.artists:
        if artist.artist_id in wanted and artist.name:
            return artist.name
    return "an artist you listen to"
