"""A track index by plain arithmetic: the oracle of the contract suite, and the catalogue of unit tests."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from recall.index.protocol import NO_FILTER, Hit, TrackFilter
from recall.query import first_day
from recall.tracks import LEARNED, CataloguedTrack, IndexedTrack, Vector


def matches(track: CataloguedTrack, where: TrackFilter) -> bool:
    released = first_day(track.release_date)
    values = {one.feature: getattr(track.features, one.feature, None) for one in where.features}
    return all(
        (
            not where.genres_any or bool(set(where.genres_any) & set(track.genres)),
            not set(where.genres_none) & set(track.genres),
            not where.artists_any or bool(set(where.artists_any) & set(track.artist_ids)),
            not set(where.artists_none) & set(track.artist_ids),
            track.track_id not in where.tracks_none,
            where.released_from is None or (released is not None and released >= where.released_from),
            where.released_to is None or (released is not None and released <= where.released_to),
            *(values[r.feature] is not None and r.low <= values[r.feature] <= r.high for r in where.features),
        )
    )


class BruteIndex:
    def __init__(self, tracks: Sequence[IndexedTrack] = ()) -> None:
        self.stored = {one.track.track_id: one for one in tracks}
        self.calls: list[str] = []

    def _matching(self, where: TrackFilter) -> list[IndexedTrack]:
        return [one for one in self.stored.values() if matches(one.track, where)]

    async def upsert(self, tracks: Sequence[IndexedTrack]) -> None:
        for one in tracks:
            old = self.stored.get(one.track.track_id)
            stamp = one.track.updated_at_ms
            if old is None or stamp == 0 or stamp >= old.track.updated_at_ms:
                learned = {name: v for name, v in old.vectors.items() if name in LEARNED} if old else {}
                self.stored[one.track.track_id] = IndexedTrack(one.track, {**learned, **one.vectors})

    async def update_vectors(self, name: str, vectors: Mapping[str, Vector]) -> set[str]:
        known = self.stored.keys() & vectors.keys()
        for track_id in known:
            old = self.stored[track_id]
            self.stored[track_id] = IndexedTrack(old.track, {**old.vectors, name: vectors[track_id]})
        return known

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        for track_id in track_ids:
            self.stored.pop(track_id, None)

    async def fetch(self, track_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexedTrack]:
        self.calls.append("fetch")
        found = [self.stored[i] for i in track_ids if i in self.stored]
        return {one.track.track_id: one if with_vectors else IndexedTrack(one.track) for one in found}

    async def vectors(self, track_ids: Sequence[str], *, using: str = "acoustic") -> dict[str, Vector]:
        self.calls.append("vectors")
        known = {i: self.stored[i].vectors for i in track_ids if i in self.stored}
        return {i: vectors[using] for i, vectors in known.items() if using in vectors}

    async def sample(self, rng: random.Random, *, using: str = "acoustic") -> Vector | None:
        vectors = [one.vectors[using] for one in self.stored.values() if using in one.vectors]
        return rng.choice(vectors) if vectors else None

    async def nearest(
        self,
        vector: Vector,
        limit: int,
        where: TrackFilter = NO_FILTER,
        *,
        using: str = "acoustic",
        exact: bool = False,
    ) -> list[Hit]:
        self.calls.append("nearest")
        hits = [
            Hit(one.track, float(one.vectors[using] @ vector)) for one in self._matching(where) if using in one.vectors
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.track.track_id))[:limit]

    async def most_popular(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        self.calls.append("most_popular")
        tracks = [one.track for one in self._matching(where)]
        return sorted(tracks, key=lambda track: (-(track.popularity or 0), track.track_id))[:limit]

    async def newest(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        self.calls.append("newest")
        tracks = [one.track for one in self._matching(where)]
        return sorted(tracks, key=lambda track: (-track.added_at_ms, track.track_id))[:limit]

    async def matching(self, where: TrackFilter, limit: int) -> list[CataloguedTrack]:
        return [one.track for one in self._matching(where)][:limit]

    async def page(self, after: str | None, limit: int) -> tuple[list[IndexedTrack], str | None]:
        names = sorted(i for i in self.stored if after is None or i >= after)
        return [self.stored[i] for i in names[:limit]], names[limit] if len(names) > limit else None

    async def count(self) -> int:
        return len(self.stored)

    async def flush(self) -> None: ...

    async def drop(self) -> None:
        self.stored.clear()

    async def close(self) -> None: ...
