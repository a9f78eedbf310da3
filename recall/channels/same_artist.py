"""More by the artists that the list starts from."""

from __future__ import annotations

import dataclasses
import math

from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery
from recall.tracks import CataloguedTrack

# A list has few tracks of one artist, so few are looked at.
SHARE_OF_ONE = 0.2


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
        most = math.ceil(limit * SHARE_OF_ONE * len(query.artist_ids))
        tracks = await self._index.most_popular(min(limit, most), where)
        starts = query.starts_by_artist()
        found = []
        for track in tracks:
            artist_id, name = wanted_artist(track, query.artist_ids)
            found.append(Candidate(track, starts.get(artist_id, ()), f"More by {name}"))
        return found


def wanted_artist(track: CataloguedTrack, wanted: tuple[str, ...]) -> tuple[str, str]:
    """Id and name of the track's artist that was wanted, else of its first."""
    artists = [artist for artist in track.artists if artist.artist_id in wanted] or track.artists[:1]
    if not artists:
        return "", "an unknown artist"
    return artists[0].artist_id or "", artists[0].name or "an artist you listen to"
