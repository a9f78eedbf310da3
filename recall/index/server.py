"""The vector index on a Qdrant server or cluster, shared by any number of workers."""

from __future__ import annotations

import dataclasses
import random
import ssl
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import numpy as np
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from recall.errors import IndexUnavailable
from recall.index.operations import replacements, upserts, vectors_alone
from recall.index.points import (
    DRAWN_AT_ONCE,
    batched,
    check_named,
    check_vectors,
    drawn_point,
    latest_versions,
    point_id,
    point_text,
    query_vector,
    track_of,
)
from recall.index.protocol import NO_FILTER, Hit, TrackFilter
from recall.index.schema import (
    ADDED_AT,
    DECIMAL_FIELDS,
    DOC,
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    POPULARITY,
    UPDATED_AT,
    graph_of,
)
from recall.index.server_filters import server_filter
from recall.index.ties import nearest_in_order
from recall.tracks import ACOUSTIC, LEARNED, CataloguedTrack, IndexedTrack, Vector

# Points written, or read, in one request.
_WRITTEN_AT_ONCE = 256
_READ_AT_ONCE = 1_000
_TIMEOUT_S = 10
_FIELDS: Mapping[str, models.PayloadSchemaType] = {
    **dict.fromkeys(KEYWORD_FIELDS, models.PayloadSchemaType.KEYWORD),
    **dict.fromkeys(DECIMAL_FIELDS, models.PayloadSchemaType.FLOAT),
    **dict.fromkeys((*INTEGER_FIELDS, UPDATED_AT), models.PayloadSchemaType.INTEGER),
}

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Server:
    """Where a Qdrant server is.

    Attributes:
        url: `http://` or `https://`.
        api_key: empty = none.
        ca_file: certificates to trust; empty = the system's own.
    """

    url: str
    api_key: str = dataclasses.field(default="", repr=False)
    ca_file: str = ""

    def client(self) -> AsyncQdrantClient:
        """A client, which has sent nothing yet.

        Raises:
            IndexUnavailable: the file of certificates cannot be used.
        """
        options: dict[str, Any] = {}
        if self.url.startswith("https://"):
            try:
                options["verify"] = ssl.create_default_context(cafile=self.ca_file or None)
            except OSError as error:
                reason = error.strerror or error
                raise IndexUnavailable(
                    f"{self.ca_file}: no certificates ({reason}): check THROUGHBEAT_QDRANT_CA_FILE"
                ) from error
        return AsyncQdrantClient(
            url=self.url, api_key=self.api_key or None, timeout=_TIMEOUT_S, check_compatibility=False, **options
        )

    async def collections(self) -> Sequence[str]:
        """The names of all collections.

        Raises:
            IndexUnavailable: the server does not answer, or does not let us in.
        """
        client = self.client()
        try:
            return [one.name for one in (await _answer(client.get_collections())).collections]
        finally:
            await client.close()


class ServerIndex:
    """A `TrackIndex` in one collection of a server."""

    def __init__(self, client: AsyncQdrantClient, collection: str, dimensions: Mapping[str, int]) -> None:
        """Use `connect`, or `prepare` what was made by hand."""
        self._client = client
        self._collection = collection
        self._dimensions = dict(dimensions)
        self._own = sorted(dimensions.keys() - LEARNED)

    @classmethod
    async def connect(cls, server: Server, collection: str, *, dimensions: Mapping[str, int]) -> ServerIndex:
        """A client of the server's collection, which is made if it is new.

        Raises:
            IndexUnavailable: the server does not answer or does not let us in, or its collection holds other vectors.
        """
        client = server.client()
        index = cls(client, collection, dimensions)
        try:
            await index.prepare()
        except IndexUnavailable:
            await client.close()
            raise
        return index

    async def prepare(self) -> None:
        """Make the collection and its field indexes; any number of workers may do so at once.

        Raises:
            IndexUnavailable: the server does not answer, or its collection holds other vectors.
        """
        vectors = {name: _vector_params(name, size) for name, size in self._dimensions.items()}
        if not await _answer(self._client.collection_exists(self._collection)):
            try:
                await _answer(self._client.create_collection(self._collection, vectors))
            except IndexUnavailable:
                # Another worker may have been first.
                if not await _answer(self._client.collection_exists(self._collection)):
                    raise
        await self._fit_vectors()
        for field, schema in _FIELDS.items():
            await _answer(self._client.create_payload_index(self._collection, field, schema))

    async def _fit_vectors(self) -> None:
        """Add the vectors that an older release of the project did not have."""
        info = await _answer(self._client.get_collection(self._collection))
        stored: Any = info.config.params.vectors
        sizes = {name: params.size for name, params in stored.items()} if isinstance(stored, dict) else {}
        expected = self._dimensions
        if any(sizes.get(name, size) != size for name, size in expected.items()):
            raise IndexUnavailable(f"expected vectors {expected} in {self._collection}, got {sizes}")
        for name in expected.keys() - sizes.keys():
            config = models.DenseVectorConfig(size=expected[name], distance=models.Distance.DOT)
            wanted = models.DenseVectorNameConfig(dense=config)
            await _answer(self._client.create_vector_name(self._collection, name, wanted))

    async def upsert(self, tracks: Sequence[IndexedTrack]) -> None:
        """Make tracks searchable before it returns; an older `updated_at_ms` never overwrites a newer one."""
        check_vectors(tracks, self._dimensions)
        for chunk in batched(latest_versions(tracks), _WRITTEN_AT_ONCE):
            stored = await self._stored([one.stored.track.track_id for one in chunk])
            operations = [
                *upserts(one for one in chunk if one.stored.track.track_id not in stored),
                *replacements((one for one in chunk if one.stored.track.track_id in stored), self._own),
            ]
            await _answer(self._client.batch_update_points(self._collection, operations, wait=True))

    async def _stored(self, track_ids: Iterable[str]) -> set[str]:
        """Those of the tracks that are indexed."""
        by_point = {point_id(track_id): track_id for track_id in track_ids}
        records = await _answer(self._client.retrieve(self._collection, list(by_point), False, False))
        return {by_point[str(record.id)] for record in records}

    async def update_vectors(self, name: str, vectors: Mapping[str, Vector]) -> set[str]:
        """Give tracks their vectors of one name, by track id; the ids of those that are indexed."""
        check_named(name, list(vectors.items()), self._dimensions)
        written: set[str] = set()
        for chunk in batched(vectors, _WRITTEN_AT_ONCE):
            stored = await self._stored(chunk)
            if stored:
                learned = [vectors_alone(name, {one: vectors[one] for one in stored})]
                await _answer(self._client.batch_update_points(self._collection, learned, wait=True))
            written |= stored
        return written

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        """Forget tracks; an unknown id is no error."""
        if track_ids:
            points: list[Any] = [point_id(track_id) for track_id in track_ids]
            await _answer(self._client.delete(self._collection, models.PointIdsList(points=points), wait=True))

    async def fetch(self, track_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexedTrack]:
        """Those of the tracks that are indexed, by id."""
        wanted = list(dict.fromkeys(track_ids))
        found: dict[str, IndexedTrack] = {}
        for at in range(0, len(wanted), _READ_AT_ONCE):
            ids = [point_id(track_id) for track_id in wanted[at : at + _READ_AT_ONCE]]
            records = await _answer(self._client.retrieve(self._collection, ids, [DOC], with_vectors))
            tracks = (IndexedTrack(track_of(record.payload), _vectors(record.vector)) for record in records)
            found.update((one.track.track_id, one) for one in tracks)
        return {track_id: found[track_id] for track_id in wanted if track_id in found}

    async def vectors(self, track_ids: Sequence[str], *, using: str = ACOUSTIC) -> dict[str, Vector]:
        """The vector of one name of those of the tracks that have it, by id."""
        by_point = {point_id(track_id): track_id for track_id in track_ids}
        if not by_point:
            return {}
        records = await _answer(self._client.retrieve(self._collection, list(by_point), False, [using]))
        stored = ((by_point[str(record.id)], _vectors(record.vector)) for record in records)
        return {track_id: vectors[using] for track_id, vectors in stored if using in vectors}

    async def nearest(
        self,
        vector: Vector,
        limit: int,
        where: TrackFilter = NO_FILTER,
        *,
        using: str = ACOUSTIC,
        exact: bool = False,
    ) -> list[Hit]:
        """At most `limit` tracks that match, nearest first, ties by track id."""
        query, condition = query_vector(vector, using, self._dimensions), server_filter(where)
        params = models.SearchParams(hnsw_ef=graph_of(using).search_breadth, exact=exact)

        async def search(wanted: int) -> list[Hit]:
            found = await _answer(
                self._client.query_points(
                    self._collection,
                    query=query,
                    using=using,
                    query_filter=condition,
                    search_params=params,
                    limit=wanted,
                    with_payload=[DOC],
                )
            )
            return [Hit(track_of(point.payload), point.score) for point in found.points]

        return await nearest_in_order(search, limit)

    async def sample(self, rng: random.Random, *, using: str = ACOUSTIC) -> Vector | None:
        """The vector of one name of a track drawn at random; `None` when no track near the drawn place has it."""
        place = point_text(drawn_point(rng))
        records, _ = await _answer(
            self._client.scroll(
                self._collection, limit=DRAWN_AT_ONCE, offset=place, with_payload=False, with_vectors=[using]
            )
        )
        vectors = (_vectors(record.vector) for record in records)
        return next((found[using] for found in vectors if using in found), None)

    async def most_popular(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, the most popular first; unknown popularity counts as 0."""
        return await self._greatest(POPULARITY, limit, where)

    async def newest(self, limit: int, where: TrackFilter = NO_FILTER) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, the last added to the catalogue first."""
        return await self._greatest(ADDED_AT, limit, where)

    async def _greatest(self, field: str, limit: int, where: TrackFilter) -> list[CataloguedTrack]:
        if limit <= 0:
            return []
        order = models.OrderBy(key=field, direction=models.Direction.DESC)
        condition = server_filter(where)
        records, _ = await _answer(
            self._client.scroll(self._collection, condition, limit, order, with_payload=[DOC], with_vectors=False)
        )
        tracks = [track_of(record.payload) for record in records]
        return sorted(tracks, key=lambda track: (-(getattr(track, field) or 0), track.track_id))

    async def matching(self, where: TrackFilter, limit: int) -> list[CataloguedTrack]:
        """At most `limit` tracks that match, in no stated order."""
        found: list[CataloguedTrack] = []
        condition, after = server_filter(where), None
        while len(found) < limit:
            page = min(limit - len(found), _READ_AT_ONCE)
            records, after = await _answer(
                self._client.scroll(
                    self._collection, condition, page, offset=after, with_payload=[DOC], with_vectors=False
                )
            )
            found.extend(track_of(record.payload) for record in records)
            if after is None:
                break
        return found

    async def page(self, after: str | None, limit: int) -> tuple[list[IndexedTrack], str | None]:
        """Tracks with all their vectors, in an order of the engine's own, and where the next page begins, if any."""
        records, following = await _answer(
            self._client.scroll(self._collection, limit=limit, offset=after, with_payload=[DOC], with_vectors=True)
        )
        tracks = [IndexedTrack(track_of(record.payload), _vectors(record.vector)) for record in records]
        return tracks, None if following is None else str(following)

    async def drop(self) -> None:
        """Delete the collection, which another worker may have done already, and close the connections."""
        await _answer(self._client.delete_collection(self._collection))
        await self.close()

    async def count(self) -> int:
        """How many tracks are indexed."""
        return int((await _answer(self._client.count(self._collection, exact=True))).count)

    async def flush(self) -> None:
        """Nothing to do: the server acknowledges only what its log holds."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _vector_params(name: str, size: int) -> models.VectorParams:
    graph = graph_of(name)
    own = models.HnswConfigDiff(
        m=graph.links, ef_construct=graph.build_breadth, full_scan_threshold=graph.compare_all_below_kb
    )
    return models.VectorParams(size=size, distance=models.Distance.DOT, hnsw_config=own)


async def _answer(asked: Awaitable[_Answer]) -> _Answer:
    """What the server answers. Raises IndexUnavailable when it does not."""
    try:
        return await asked
    except (ApiException, httpx.HTTPError, OSError) as error:
        raise IndexUnavailable(_reason(error)) from error


def _reason(error: Exception) -> str:
    """The error in our own words, with what to do where waiting is no use."""
    if isinstance(error, UnexpectedResponse) and error.status_code in (401, 403):
        return f"Qdrant does not let us in (status {error.status_code}): check THROUGHBEAT_QDRANT_API_KEY"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            "the certificate of Qdrant is not trusted: name the file of the authority that signed it in "
            "THROUGHBEAT_QDRANT_CA_FILE, and in THROUGHBEAT_QDRANT_URL the host that it is for"
        )
    return f"Qdrant did not answer: {type(error).__name__}: {error}"


def _vectors(stored: Any) -> dict[str, Vector]:
    return {name: np.asarray(numbers, dtype=np.float32) for name, numbers in (stored or {}).items()}
