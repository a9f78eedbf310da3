"""The vector index inside this process: Qdrant Edge, owned by one worker.

The engine holds the interpreter's lock in each call, so nothing here gains from threads: work is cut into calls of
about a millisecond, and the event loop runs between them.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from qdrant_edge import (
    Direction,
    EdgeShard,
    OrderBy,
    Point,
    PointVectors,
    Query,
    QueryRequest,
    ScrollRequest,
    SearchParams,
    UpdateOperation,
)

from recall.errors import IndexUnavailable
from recall.index.filters import billionths, edge_filter
from recall.index.growth import LAST, Written, catch_up
from recall.index.kept import Encoded, Kept, KeptOrders, words_of
from recall.index.optimise import optimise_copy
from recall.index.points import (
    DRAWN_AT_ONCE,
    Version,
    batched,
    check_named,
    check_vectors,
    drawn_point,
    floats,
    latest_versions,
    payload_of,
    point_number,
    point_text,
    query_vector,
    track_of,
)
from recall.index.protocol import NO_FILTER, Hit, TrackFilter
from recall.index.schema import ADDED_AT, DOC, POPULARITY, UPDATED_AT, graph_of
from recall.index.shards import ShardHome, load_shard, open_shard
from recall.index.ties import nearest_in_order
from recall.tracks import ACOUSTIC, LEARNED, CataloguedTrack, IndexedTrack, Vector

# Points written, or read, in one call: one to four milliseconds.
_WRITTEN_AT_ONCE = 64
_READ_AT_ONCE = 256
# Of an artist or a genre so many are found at least: several channels ask for the same, one for fewer than another.
_ORDERED_AT_ONCE = 12
# Tracks kept with all their vectors: those that lists start from. However long the vectors, some 20 kB each at most.
_STARTS_MAX = 4_000
# Rests while warming up, in terms of the work between them.
_WARMING = 4

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


class EdgeIndex:
    """A `TrackIndex` on this machine's disk, with one owner; kill -9 loses nothing that was acknowledged."""

    def __init__(self, home: ShardHome, shard: EdgeShard, dimensions: Mapping[str, int]) -> None:
        """Use `open`, which makes the parts."""
        self._home = home
        self._shard = shard
        self._dimensions = dict(dimensions)
        self._learned = sorted(LEARNED & dimensions.keys())
        self._writing = asyncio.Lock()
        info = shard.info()
        noted = home.outside()
        self._written = Written(max(0, info.points_count - info.indexed_vectors_count) if noted is None else noted)
        self._unflushed = False
        # Queries ask for ids, and most of their tracks are here. Nobody else writes.
        self._kept = Kept()
        self._encoded = Encoded()
        if not info.points_count:
            self._encoded.all_read()
        self._orders = KeptOrders()
        self._kept_whole = Kept(_STARTS_MAX)

    @classmethod
    def open(cls, path: Path, *, dimensions: Mapping[str, int]) -> EdgeIndex:
        """Open the index in a directory, made if it is new.

        Args:
            path: the directory; nothing else may write there.
            dimensions: length of each named vector, such as `{"acoustic": 64}`.

        Raises:
            IndexUnavailable: another process owns it, it does not open, or it holds other vectors.
        """
        home = ShardHome.own(path)
        try:
            shard = open_shard(home, dimensions)
        except BaseException:
            home.release()
            raise
        return cls(home, shard, dimensions)

    async def upsert(self, tracks: Sequence[IndexedTrack]) -> None:
        """Make tracks searchable before it returns; an older `updated_at_ms` never overwrites a newer one."""
        check_vectors(tracks, self._dimensions)
        for chunk in batched(latest_versions(tracks), _WRITTEN_AT_ONCE):
            async with self._writing:
                self._write({point_number(one.stored.track.track_id): one for one in chunk})
            await asyncio.sleep(0)

    def _write(self, versions: dict[int, Version]) -> None:
        """Store those that are not older than what is stored; between the look and the write nothing else runs."""
        learned: dict[int, Any] = {}
        for record in self._stored(versions, [UPDATED_AT], self._learned):
            number = _number(record.id)
            version = versions[number]
            if not version.forced and (record.payload or {}).get(UPDATED_AT, 0) > version.stamp:
                del versions[number]
            else:
                learned[number] = record.vector or {}
        if versions:
            payloads = {number: payload_of(one.stored.track, billionths) for number, one in versions.items()}
            points = [
                Point(point_text(number), _all_vectors(one.stored, learned.get(number, {})), payloads[number])
                for number, one in versions.items()
            ]
            self._forget_orders(learned.keys() & versions.keys(), (one.stored.track for one in versions.values()))
            self._update(UpdateOperation.upsert_points(points), versions)
            for number, one in versions.items():
                self._encoded.keep(number, payloads[number][DOC], one.stored.track, _acoustic(one.stored))

    def _stored(self, points: Iterable[int], payload: Any, vectors: Any) -> Sequence[Any]:
        """So much of those that are stored; the engine is not asked of new ones, which is what most writes are of."""
        asked = self._encoded.may_be_stored(points)
        return self._shard_call(lambda ids: self._shard.retrieve(ids, payload, vectors), _texts(asked)) if asked else ()

    async def update_vectors(self, name: str, vectors: Mapping[str, Vector]) -> set[str]:
        """Give tracks their vectors of one name, by track id; the ids of those that are indexed."""
        check_named(name, list(vectors.items()), self._dimensions)
        written: set[str] = set()
        for chunk in batched(vectors, _WRITTEN_AT_ONCE):
            async with self._writing:
                written |= self._write_vectors(name, {point_number(one): one for one in chunk}, vectors)
            await asyncio.sleep(0)
        return written

    def _write_vectors(self, name: str, tracks: dict[int, str], vectors: Mapping[str, Vector]) -> set[str]:
        """Write those that are stored; of one that is not, the engine would make an error half-way."""
        found = [_number(record.id) for record in self._stored(tracks, False, False)]
        if found:
            points = [PointVectors(point_text(n), {name: floats(vectors[tracks[n]])}) for n in found]
            self._update(UpdateOperation.update_vectors(points), found, only=name)
        return {tracks[number] for number in found}

    def _update(self, operation: UpdateOperation, points: Iterable[int], *, only: str | None = None) -> None:
        """Write to the shard, and forget what was read of it; `only` names the vector when nothing else changes."""
        self._kept_whole.forget(points)
        if only in (None, ACOUSTIC):
            self._kept.forget(points)
            self._encoded.forget(points)
        if only == ACOUSTIC:
            self._encoded.leave_out()
        try:
            self._shard_call(self._shard.update, operation)
        except IndexUnavailable:
            self._encoded.leave_out()
            raise
        self._unflushed = True
        self._written.add(points)

    def _forget_orders(self, before: Iterable[int], after: Iterable[CataloguedTrack]) -> None:
        """Forget the orders that what is written may change: points as they are stored, tracks as they will be."""
        if not len(self._orders):
            return
        stored = [self._encoded.track(number) for number in before]
        if None in stored:
            self._orders.forget_all()
        for track in (*stored, *after):
            if track is not None:
                self._orders.forget(words_of(track))

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        """Forget tracks; an unknown id is no error."""
        for chunk in batched(map(point_number, track_ids), _WRITTEN_AT_ONCE):
            async with self._writing:
                self._forget_orders(chunk, ())
                self._update(UpdateOperation.delete_points(_texts(chunk)), chunk)
            await asyncio.sleep(0)

    async def fetch(self, track_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexedTrack]:
        """Those of the tracks that are indexed, by id; their acoustic vectors come in any case."""
        asked = dict.fromkeys(track_ids)
        found = (self._kept_whole if with_vectors else self._kept).of(asked)
        if len(found) == len(asked):
            return found
        others = (point_number(one) for one in asked if one not in found)
        for number, chunk in enumerate(batched(others, _READ_AT_ONCE)):
            if number:
                await asyncio.sleep(0)
            found.update((one.track.track_id, one) for one in self._read(chunk, whole=with_vectors))
        return {track_id: found[track_id] for track_id in asked if track_id in found}

    async def vectors(self, track_ids: Sequence[str], *, using: str = ACOUSTIC) -> dict[str, Vector]:
        """The vector of one name of those of the tracks that have it, by id."""
        known = await self.fetch(track_ids, with_vectors=using != ACOUSTIC)
        return {track_id: one.vectors[using] for track_id, one in known.items() if using in one.vectors}

    def _read(self, points: Sequence[int], *, whole: bool = False) -> list[IndexedTrack]:
        """What the shard holds of these points, in their order; those that it does not hold are left out.

        `whole` brings all vectors; without, only the acoustic one comes, which is what most tracks are read for.
        """
        room, names = (self._kept_whole, True) if whole else (self._kept, [ACOUSTIC])
        kept = room.tracks(points)
        missing = [number for number in points if number not in kept]
        if missing and not whole:
            read = self._encoded.tracks(missing)
            room.keep(read)
            kept |= read
            missing = [number for number in missing if number not in read]
        if missing:
            read = dict(map(self._taken_in, self._stored(missing, [DOC], names)))
            room.keep(read)
            kept |= read
        return [kept[number] for number in points if number in kept]

    def _taken_in(self, record: Any) -> tuple[int, IndexedTrack]:
        """What the engine has read, and keep it as it is stored."""
        number, vectors, track = _number(record.id), _vectors(record.vector), track_of(record.payload)
        self._encoded.keep(number, record.payload[DOC], track, vectors.get(ACOUSTIC))
        return number, IndexedTrack(track, vectors)

    async def nearest(
        self,
        vector: Vector,
        limit: int,
        where: TrackFilter = NO_FILTER,
        *,
        using: str = ACOUSTIC,
        exact: bool = False,
    ) -> list[Hit]:
        """At most `limit` tracks that match, nearest first, ties by track id; `exact` compares with every one."""
        query = Query.Nearest(query_vector(vector, using, self._dimensions), using=using)
        condition, params = edge_filter(where), SearchParams(hnsw_ef=graph_of(using).search_breadth, exact=exact)

        async def search(wanted: int) -> list[Hit]:
            request = QueryRequest(wanted, query=query, filter=condition, params=params)
            scores = {_number(point.id): point.score for point in self._shard_call(self._shard.query, request)}
            tracks = self._read(list(scores))
            return [Hit(one.track, score) for one, score in zip(tracks, scores.values(), strict=True)]

        return await nearest_in_order(search, limit)

    async def sample(self, rng: random.Random, *, using: str = ACOUSTIC) -> Vector | None:
        """The vector of one name of a track drawn at random; `None` when no track near the drawn place has it."""
        place = point_text(drawn_point(rng))
        request = ScrollRequest(offset=place, limit=DRAWN_AT_ONCE, with_payload=False, with_vector=[using])
        records, _ = self._shard_call(self._shard.scroll, request)
        vectors = (_vectors(record.vector) for record in records)
        return next((found[using] for found in vectors if using in found), None)

    async def most_popular(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, the most popular first; unknown popularity counts as 0."""
        return self._greatest(POPULARITY, limit, where)

    async def newest(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, the last added to the catalogue first."""
        return self._greatest(ADDED_AT, limit, where)

    def _greatest(self, field: str, limit: int, where: TrackFilter) -> list[CataloguedTrack]:
        if limit <= 0:
            return []
        # Of several genres the order is made of theirs, which many ask for; artists are too many for that.
        several = len(where.genres_any) > 1 and not where.artists_any
        parts = [replace(where, genres_any=(genre,)) for genre in where.genres_any] if several else [where]
        found = {track.track_id: track for part in parts for track in self._order(field, limit, part)}
        return _greatest_first(field, found.values())[:limit] if several else list(found.values())

    def _order(self, field: str, limit: int, where: TrackFilter) -> Sequence[CataloguedTrack]:
        if field == POPULARITY and self._encoded.whole and _is_of_artists(where):
            # The engine takes a millisecond or two, which several channels would wait for, each for other artists.
            points = self._encoded.by_artist.best(limit, where.artists_any, where.artists_none)
            return _greatest_first(field, (one.track for one in self._read(points)))
        tracks = self._orders.get((field, where), limit)
        if tracks is None:
            wanted = max(limit, _ORDERED_AT_ONCE)
            request = QueryRequest(wanted, query=OrderBy(field, Direction.Desc), filter=edge_filter(where))
            points = [_number(point.id) for point in self._shard_call(self._shard.query, request)]
            tracks = _greatest_first(field, (one.track for one in self._read(points)))
            self._orders.keep((field, where), tracks, wanted)
        return tracks[:limit]

    async def matching(self, where: TrackFilter, limit: int) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, in no stated order."""
        found: list[CataloguedTrack] = []
        if limit > 0:
            async for page in self.pages(where, min(limit, _READ_AT_ONCE)):
                found += page
                if len(found) >= limit:
                    break
        return found[:limit]

    async def pages(
        self, where: TrackFilter = NO_FILTER, size: int = _READ_AT_ONCE
    ) -> AsyncIterator[list[CataloguedTrack]]:
        """All tracks that match, so many at a time, in no stated order; one that is written meanwhile may be missed."""
        condition, after = edge_filter(where), None
        while True:
            request = ScrollRequest(offset=after, limit=size, filter=condition, with_payload=[DOC], with_vector=False)
            records, after = self._shard_call(self._shard.scroll, request)
            yield [track_of(record.payload) for record in records]
            if after is None:
                return
            await asyncio.sleep(0)

    async def page(self, after: str | None, limit: int) -> tuple[list[IndexedTrack], str | None]:
        """Tracks with all their vectors, in an order of the engine's own, and where the next page begins, if any."""
        request = ScrollRequest(offset=after, limit=limit, with_payload=[DOC], with_vector=True)
        records, following = self._shard_call(self._shard.scroll, request)
        tracks = [IndexedTrack(track_of(record.payload), _vectors(record.vector)) for record in records]
        return tracks, None if following is None else str(following)

    async def warm_up(self) -> None:
        """Read tracks once, as many as are kept, so that no answer has to; in a fifth of the time that it is given."""
        after = None
        while True:
            began_s = time.monotonic()
            request = ScrollRequest(offset=after, limit=_WRITTEN_AT_ONCE, with_payload=[DOC], with_vector=[ACOUSTIC])
            records, after = self._shard_call(self._shard.scroll, request)
            for record in records:
                if _number(record.id) not in self._encoded:
                    self._taken_in(record)
            if after is None:
                return self._encoded.all_read()
            if self._encoded.is_full:
                return None
            await asyncio.sleep(_WARMING * (time.monotonic() - began_s))

    async def count(self) -> int:
        """How many tracks are indexed."""
        # An exact count looks at every point: 5 ms at 100,000, for the same number.
        return int(self._shard_call(lambda _: self._shard.info(), None).points_count)

    async def flush(self) -> None:
        """Force what was written to disk, so that a power loss keeps it."""
        async with self._writing:
            if self._unflushed:
                self._shard_call(lambda _: self._shard.flush(), None)
                self._home.note_outside(self.unoptimised)
                self._unflushed = False

    @property
    def writes(self) -> int:
        """How many times anything was written: while it stands still, nothing is."""
        return self._written.writes

    @property
    def unoptimised(self) -> int:
        """Tracks that are in no search graph as they are now, so that each search compares with every one."""
        return self._written.outside

    async def optimise(self) -> None:
        """Build the search graph anew, on a copy and in a child process: reads go on, writes are held for the copying.

        What is written meanwhile is written to the copy too, before it takes the shard's place. A crash at any moment
        leaves the old shard or the new one, whole. Not to be called twice at once.

        Raises:
            IndexUnavailable: the copy could not be made or optimised; the shard in use is as it was.
        """
        copy = self._home.unused()
        try:
            await self._copy_to(copy)
            await optimise_copy(copy)
            optimised = self._shard_call(load_shard, copy)
            await self._take(optimised, copy)
        except OSError as error:
            raise IndexUnavailable(f"the index was not optimised: {error}") from error
        finally:
            self._written.given_up()
            await asyncio.to_thread(self._home.sweep)

    async def _copy_to(self, copy: Path) -> None:
        current = self._home.current()
        if current is None:
            raise IndexUnavailable("expected a shard in use, got none")
        async with self._writing:
            self._shard_call(lambda _: self._shard.flush(), None)
            await asyncio.to_thread(shutil.copytree, current, copy)
            self._written.copied()

    async def _take(self, optimised: EdgeShard, copy: Path) -> None:
        """Bring the copy up to date, and let it serve; for the last of it, writers wait."""
        try:
            await catch_up(self._written, self._shard, optimised, until=LAST)
            async with self._writing:
                await catch_up(self._written, self._shard, optimised, until=0)
                optimised.flush()
                self._home.point_to(copy)
                former, self._shard = self._shard, optimised
                self._written.taken_over()
                self._home.note_outside(self.unoptimised)
            former.close()
        except OSError:
            raise
        except Exception as error:  # the engine raises nothing narrower
            raise IndexUnavailable(f"the index was not optimised: {error}") from error

    async def drop(self) -> None:
        """Close the index and delete it."""
        await self.close()
        await asyncio.to_thread(self._home.delete)

    async def close(self) -> None:
        """Flush, and let another process own the index."""
        async with self._writing:
            self._shard.close()
            self._home.note_outside(self.unoptimised)
            self._home.release()

    def _shard_call(self, call: Callable[[_Asked], _Answer], asked: _Asked) -> _Answer:
        """What the engine answers. Raises IndexUnavailable when it does not."""
        try:
            return call(asked)
        except Exception as error:  # the engine raises nothing narrower
            raise IndexUnavailable(f"Qdrant Edge did not answer: {error}") from error


def _number(point: Any) -> int:
    number: int = point.int  # every point of ours is a UUID
    return number


def _is_of_artists(where: TrackFilter) -> bool:
    return bool(where.artists_any) and where == TrackFilter(
        artists_any=where.artists_any, artists_none=where.artists_none
    )


def _texts(points: Iterable[int]) -> list[int | uuid.UUID | str]:
    return [point_text(number) for number in points]


def _greatest_first(field: str, tracks: Iterable[CataloguedTrack]) -> list[CataloguedTrack]:
    return sorted(tracks, key=lambda track: (-(getattr(track, field) or 0), track.track_id))


def _all_vectors(one: IndexedTrack, learned: Mapping[str, Any]) -> dict[str, Any]:
    """The vectors of a track that is written, which keeps what was learned of it."""
    return {**learned, **{name: floats(vector) for name, vector in one.vectors.items()}}


def _acoustic(one: IndexedTrack) -> Vector | None:
    vector = one.vectors.get(ACOUSTIC)
    return None if vector is None else vector.astype(np.float32, copy=False)


def _vectors(stored: Any) -> dict[str, Vector]:
    return {name: np.array(numbers, dtype=np.float32) for name, numbers in (stored or {}).items()}
