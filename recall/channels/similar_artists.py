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
from recall.query import RecallQuery
from recall.tracks import CataloguedTrack

# Artists of the query that are looked at, and artists like each of them. A search tells of the first alone.
SOURCES_MAX, RELATED_MAX = 2, 8
PER_ARTIST = 2
# Found for each track that is wanted: of an artist only a few count.
OVERFETCH = 2
# An artist sounds like the mean of its best known tracks; artists like it have tracks among so many near that mean.
MEAN_OF, NEAR_MEAN = 10, 40
# Who is like whom changes slowly, and is worked out by a search: each is kept for ten minutes.
KEPT_MS, KEPT_MAX = 600_000, 20_000


class Relations(Protocol):
    """What the catalogue's owner says of artists."""

    async def related(self, artist_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Ids of the artists that each of them is related to, the nearest first. Raises ChannelUnavailable."""


class SimilarArtists:
    """The best known tracks of each related artist.

    Where no relation is stated: of those that share a genre with the artist and have tracks near the mean of its own.
    """

    name = "similar_artists"

    def __init__(self, index: TrackIndex, relations: Relations) -> None:
        """Finds in `index`, by artist and by acoustic vectors; `relations` is asked at each request."""
        self._index = index
        self._relations = relations
        self._kept: dict[str, tuple[int, tuple[str, ...]]] = {}

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        """At most `limit` distinct tracks, best first. Raises ChannelUnavailable."""
        sources = query.artist_ids[:SOURCES_MAX]
        if not sources or limit <= 0:
            return []
        stated = await self._relations.related(sources)
        each = -(-limit // len(sources))
        found = [await self._of_artists_like(source, stated.get(source, ()), query, each) for source in sources]
        distinct: dict[str, Candidate] = {}
        for candidate in (one for rank in zip_longest(*found) for one in rank if one is not None):
            distinct.setdefault(candidate.track.track_id, candidate)
        return list(distinct.values())[:limit]

    async def _of_artists_like(
        self, source: str, stated: Sequence[str], query: RecallQuery, limit: int
    ) -> list[Candidate]:
        related = stated or (await self._alike(source, query.now_ms) if source == query.artist_ids[0] else ())
        wanted = tuple(one for one in related if one not in query.artist_ids)[:RELATED_MAX]
        if not wanted:
            return []
        where = dataclasses.replace(query.where, artists_any=wanted)
        tracks = await self._index.most_popular(OVERFETCH * limit, where)
        starts = [start.track for start in query.starts if source in start.track.artist_ids]
        because = tuple(track.track_id for track in starts[:3])
        reason = f"{'Related to' if stated else 'By an artist like'} {_name_of(source, starts)}"
        return [Candidate(track, because, reason) for track in _few_of_each(tracks, limit)]

    async def _alike(self, source: str, now_ms: int) -> tuple[str, ...]:
        """Ids of the artists that sound like this one and share a genre with it, the nearest first."""
        until_ms, kept = self._kept.get(source, (0, ()))
        if now_ms < until_ms:
            return kept
        own = await self._index.most_popular(MEAN_OF, TrackFilter(artists_any=(source,)))
        vectors = list((await self._index.vectors([track.track_id for track in own])).values()) if own else []
        mean = np.mean(vectors, axis=0) if vectors else np.zeros(1)
        length = float(np.linalg.norm(mean))
        hits = await self._index.nearest((mean / length).astype(np.float32), NEAR_MEAN) if length else []
        genres = frozenset(genre for track in own for genre in track.genres)
        found = _by_nearness(hit for hit in hits if not genres.isdisjoint(hit.track.genres))
        self._kept.pop(source, None)
        self._kept[source] = now_ms + KEPT_MS, tuple(artist for artist in found if artist != source)
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return self._kept[source][1]


def _by_nearness(hits: Iterable[Hit]) -> list[str]:
    """The artists of the hits, by how near their two nearest tracks are on average, ties by id."""
    nearest: dict[str, list[float]] = {}
    for hit in hits:
        for artist_id in hit.track.artist_ids[:1]:
            nearest.setdefault(artist_id, []).append(hit.score)
    means = {artist_id: sum(some[:PER_ARTIST]) / len(some[:PER_ARTIST]) for artist_id, some in nearest.items()}
    return sorted(means, key=lambda artist_id: (-means[artist_id], artist_id))


def _name_of(artist_id: str, starts: Iterable[CataloguedTrack]) -> str:
    names = (artist.name for track in starts for artist in track.artists if artist.artist_id == artist_id)
    return next((name for name in names if name), "an artist you listen to")


def _few_of_each(tracks: Iterable[CataloguedTrack], limit: int) -> list[CataloguedTrack]:
    """The first few of each first artist, in their order."""
    counts: Counter[str] = Counter()
    kept = []
    for track in tracks:
        artist = next(iter(track.artist_ids), "")
        counts[artist] += 1
        if counts[artist] <= PER_ARTIST:
            kept.append(track)
    return kept[:limit]
