"""Tracks of the artists that stand in playlists with the artists of the starts, and of these themselves."""

from __future__ import annotations

from models.holding import Holding
from recall.channels.protocol import Candidate
from recall.index.protocol import TrackIndex
from recall.query import RecallQuery, Start
from recall.shelf import Shelf
from recall.tracks import CataloguedTrack


class ArtistNeighbours:
    """By which artists speak for which others, and within an artist by what is listed and played most."""

    name = "artist_neighbours"

    def __init__(self, index: TrackIndex, shelf: Shelf) -> None:
        """Asks the tables on `shelf`; `index` says which tracks are there."""
        self._index = index
        self._shelf = shelf

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        if (asked := self._shelf.asked(query)) is None:
            return []
        tables, held = asked
        rows = held.by_artists(limit)[0]
        ids = [tables.track_ids[row] for row in rows.tolist()]
        known = await self._index.fetch(ids)
        sayers = said_by(held, query, tables.learned.numbers[rows].tolist())
        return [
            Candidate(known[one].track, (sayer.track.track_id,), reason(known[one].track, sayer.track))
            for one, sayer in zip(ids, sayers, strict=True)
            if one in known
        ]


def said_by(held: Holding, query: RecallQuery, numbers: list[int]) -> list[Start]:
    """For each artist's number the start whose artist says most of it."""
    return [query.starts[held.artist_sayers[number]] for number in numbers]


def reason(track: CataloguedTrack, start: CataloguedTrack) -> str:
    """Why an artist came, by the start that led to it."""
    name, led_by = (one.artists[0].name if one.artists else None for one in (track, start))
    if name == led_by:
        return f"More by {name or 'an artist you listen to'}"
    return f"Artists that go with {led_by}" if led_by else "Artists that go together"
