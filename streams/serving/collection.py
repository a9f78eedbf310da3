"""One collection of tracks, of one version of the embedding, with what fills it and keeps it in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from recall.errors import IndexUnavailable
from recall.index.edge import EdgeIndex
from recall.index.protocol import TrackIndex
from recall.texts import TextIndex
from recall.tracks import ACOUSTIC, COOCCURRENCE, IndexedTrack
from streams.delivery import ApplyBatch, DeadLetters, Received, Refusal
from streams.settings import Settings
from topics.errors import RecordRefused

log = logging.getLogger(__name__)

VECTOR_LENGTHS = {ACOUSTIC: 64, COOCCURRENCE: 64}
# A flush holds up answers; kill -9 loses nothing without it, only a power loss would.
FLUSH_S = 30.0
REST_S = 5.0
# So long a catalogue that keeps growing waits for a rest, and so long a failure for another attempt.
PATIENCE_S = 300.0
SHARE = 5
OPTIMISING, OPTIMISED = "building the search graph", "search graph built"


def vector_lengths(settings: Settings) -> dict[str, int]:
    """Name -> length of every vector of a collection."""
    return VECTOR_LENGTHS | {one.name: one.dimension for one in settings.declared_vectors}


@dataclass
class Collection:
    """A collection that is open in this worker.

    Attributes:
        name: of the collection and, after its kind, of its readers' group; another one for each time it is filled.
        app: what reads the catalogue into it, in a worker of that role.
        assigned: set once the app has its partitions.
        applied: topic and partition -> offset of the last record that took effect here.
        heard: whether it tells others of what it reads, titles and dead letters: of several that read one record, one
            does, and for a while around a switch both do.
    """

    version: str
    name: str
    index: TrackIndex
    app: Any = None
    assigned: asyncio.Event = field(default_factory=asyncio.Event)
    applied: dict[tuple[str, int], int] = field(default_factory=dict)
    heard: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def noting(self, apply: ApplyBatch[Any]) -> ApplyBatch[Any]:
        """As `apply`, remembering how far it came, and leaving half of the time to others while it is being filled."""

        async def applied(batch: Sequence[Received[Any]]) -> Sequence[Refusal]:
            began_s = time.monotonic()
            refusals = await apply(batch)
            for one in batch:
                self.applied[one.topic, one.partition] = one.offset
            if not self.heard:
                await asyncio.sleep(time.monotonic() - began_s)
            return refusals

        return applied

    def behind(self, other: Collection) -> bool:
        """Whether a record has taken effect in the other that has not here."""
        return any(self.applied.get(place, -1) < offset for place, offset in other.applied.items())

    def keep_in_order(self, settings: Settings) -> None:
        """Flush it and build its search graph, now and then, until `close`."""
        if isinstance(self.index, EdgeIndex):
            steps = (
                self.index.warm_up(),
                flush_now_and_then(self.index),
                optimise_when_grown(self.index, settings.optimise_above),
            )
            self.tasks += map(asyncio.create_task, steps)

    def failure(self) -> BaseException | None:
        """What ended one of its tasks, or its app."""
        for task in self.tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                return error
        return self.app.crash_reason if self.app is not None and self.app.crashed else None

    async def rest(self) -> None:
        """End its tasks, whatever they are at."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()


class SomeDeadLetters(DeadLetters):
    """Sets aside what one collection cannot apply, unless another tells of the same records."""

    collection: Collection

    async def set_aside(self, message: Any, refused: RecordRefused) -> None:
        """Keep the record as it came, or nothing."""
        if self.collection.heard:
            await super().set_aside(message, refused)


class SomeTexts:
    """The titles of all collections of this process: written by those that are heard."""

    def __init__(self, texts: TextIndex, collection: Collection) -> None:
        """Writes to `texts` what `collection` is told."""
        self._texts = texts
        self._collection = collection

    async def put(self, tracks: Sequence[IndexedTrack]) -> None:
        """Make tracks findable; an older stamp never overwrites a newer one."""
        if self._collection.heard:
            await self._texts.put(tracks)

    async def put_genres(self, genres: Iterable[str]) -> None:
        """These are genres of the catalogue."""
        if self._collection.heard:
            await self._texts.put_genres(genres)

    async def withdraw(self, track_ids: Sequence[str]) -> None:
        """Forget tracks."""
        if self._collection.heard:
            await self._texts.withdraw(track_ids)


async def open_index(settings: Settings, name: str) -> TrackIndex:
    """The index of a collection, made if it is new, on a server or in this process.

    Raises:
        IndexUnavailable: it does not open.
    """
    lengths = vector_lengths(settings)
    if not settings.qdrant_url:
        return EdgeIndex.open(settings.data_dir / "index" / f"tracks-{name}", dimensions=lengths)
    from recall.index.server import Server, ServerIndex  # a client that only some installations need

    server = Server(settings.qdrant_url, settings.qdrant_api_key, settings.qdrant_ca_file)
    prefix = f"{settings.topic_prefix}-" if settings.topic_prefix else ""
    return await ServerIndex.connect(server, f"{prefix}tracks-{name}", dimensions=lengths)


async def flush_now_and_then(index: EdgeIndex) -> None:
    """Force to disk what was written, for as long as it takes."""
    while True:
        await asyncio.sleep(FLUSH_S)
        await index.flush()


async def optimise_when_grown(index: EdgeIndex, above: int) -> None:
    """Build the search graph anew once many tracks are outside it, at the next rest if one comes soon enough.

    It takes no more than one part in `SHARE` of a core's time, however much is written.
    """
    before, since_s, not_before_s = -1, time.monotonic(), 0.0
    while True:
        waiting, now_s = index.unoptimised, time.monotonic()
        if waiting < above:
            since_s = now_s
        elif now_s >= not_before_s and (index.writes == before or now_s - since_s >= PATIENCE_S):
            await _optimise(index, waiting)
            since_s = time.monotonic()
            not_before_s = since_s + (SHARE - 1) * (since_s - now_s)
        before = index.writes
        await asyncio.sleep(REST_S)


async def _optimise(index: EdgeIndex, waiting: int) -> None:
    began_s = time.monotonic()
    log.info("%s: %d tracks are outside it", OPTIMISING, waiting)
    try:
        await index.optimise()
    except IndexUnavailable as error:
        # Searches only take longer without it; a full disk, say, is no reason to end.
        log.warning("%s; next attempt in %.0f s", error, PATIENCE_S)
        await asyncio.sleep(PATIENCE_S)
    else:
        log.info("%s: %d tracks in %.1f s", OPTIMISED, waiting, time.monotonic() - began_s)


async def leave(app: Any) -> None:
    """Commit what was acknowledged, and stop an app."""
    # Faust's own stop often ends before what was acknowledged last is committed: it would only be done again.
    with suppress(Exception):
        await asyncio.wait_for(app.commit(None), 3.0)
    await app.stop()
