"""Tracks of artists like those that the list starts from."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Protocol

import numpy as np

from recall.channels.protocol import Candidate
from recall.index.protocol import Hit, TrackFilter, TrackIndex
from recall.query import RecallQuery, Start
from recall.tracks import CataloguedTrack

# Artists of the query that are looked at, and artists like each of them.
SOURCES_MAX, RELATED_MAX = 3, 20
PER_ARTIST = 2
# Found for each track that is wanted: of an artist only a few count.
OVERFETCH = 3
# An artist sounds like the mean of its best known tracks.
MEAN_OF = 10


class Relations(Protocol):
    """What the catalogue's owner says of artists."""

    async def related(self, artist_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Ids of the artists that each of them is related to, the nearest first. Raises ChannelUnavailable."""


class SimilarArtists:
    """The best known tracks of each related artist.

    Where no relation is stated: what sounds like the mean of the artist's own and shares a genre with it.
    """

    name = "similar_artists"

    def __init__(self, index: TrackIndex, relations: Relations) -> None:
        """Finds in `index`, by artist and by acoustic vectors; `relations` is asked at each request."""
        self._index = index
        self._relations = relations

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        sources = query.artist_ids[:SOURCES_MAX]
        if not sources or limit <= 0:
            return []
        related = await self._relations.related(sources)
        each = -(-limit // len(sources))
        found = [await self._like(source, related.get(source, ()), query, each) for source in sources]
        distinct: dict[str, Candidate] = {}
        for candidate in (one for rank in zip_longest(*found) for one in rank if one is not None):
            distinct.setdefault(candidate.track.track_id, candidate)
        return list(distinct.values())[:limit]

    async def _like(self, source: str, related: Sequence[str], query: RecallQuery, limit: int) -> list[Candidate]:
        starts = [start for start in query.starts if source in start.track.artist_ids]
        because = tuple(start.track.track_id for start in starts[:3])
        name = _name_of(source, starts)
        if wanted := tuple(one for one in related if one not in query.artist_ids)[:RELATED_MAX]:
            where = dataclasses.replace(query.where, artists_any=wanted)
            tracks = await self._index.most_popular(OVERFETCH * limit, where)
            return [Candidate(track, because, f"Related to {name}") for track in _few_of_each(tracks, limit)]
        hits = await self._near_mean(source, starts, query, OVERFETCH * limit)
        return [Candidate(track, because, f"By an artist like {name}") for track in _by_artist(hits, limit)]

    async def _near_mean(self, source: str, starts: Sequence[Start], query: RecallQuery, limit: int) -> list[Hit]:
        known = await self._index.most_popular(MEAN_OF, TrackFilter(artists_any=(source,)))
        vectors = await self._index.vectors([track.track_id for track in known]) if known else {}
        tracks = [start.track for start in starts] or known
        genres = tuple(dict.fromkeys(genre for track in tracks for genre in track.genres))
        mean = np.mean(list(vectors.values()), axis=0) if vectors else np.zeros(1)
        length = float(np.linalg.norm(mean))
        if not genres or not length:
            return []
        where = dataclasses.replace(
            query.where,
            genres_any=query.where.genres_any or genres,
            artists_none=tuple(dict.fromkeys((*query.where.artists_none, *query.artist_ids))),
        )
        return await self._index.nearest((mean / length).astype(np.float32), limit, where)


def _name_of(artist_id: str, starts: Iterable[Start]) -> str:
    names = (artist.name for start in starts for artist in start.track.artists if artist.artist_id == artist_id)
    return next((name for name in names if name), "an artist you listen to")


def _few_of_each(tracks: Iterable[CataloguedTrack], limit: int) -> list[CataloguedTrack]:
    """The first few of each first artist, in their order."""
    counts: Counter[str] = Counter()
    kept = []
    for track in tracks:
        artist = _first_artist(track)
        counts[artist] += 1
        if counts[artist] <= PER_ARTIST:
            kept.append(track)
    return kept[:limit]


def _by_artist(hits: Sequence[Hit], limit: int) -> list[CataloguedTrack]:
    """The nearest few of each first artist, the artists by how near these are on average and then by id."""
    nearest: dict[str, list[Hit]] = {}
    for hit in hits:
        of_artist = nearest.setdefault(_first_artist(hit.track), [])
        if len(of_artist) < PER_ARTIST:
            of_artist.append(hit)
    means = {artist: sum(hit.score for hit in some) / len(some) for artist, some in nearest.items()}
    ordered = sorted(nearest, key=lambda artist: (-means[artist], artist))
    return [hit.track for artist in ordered for hit in nearest[artist]][:limit]


def _first_artist(track: CataloguedTrack) -> str:
    artist = track.artists[0] if track.artists else None
    return (artist.artist_id or artist.name or "") if artist else ""
