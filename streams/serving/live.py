"""The versions of the embedding that are live in this worker: opened, filled, switched and closed as is announced.

A version that is wanted fills a collection of its own from the catalogue's topics, in a group of its own, while the
other one serves. Once it has all that the other has, its search graph and what was learned of its tracks, it is
announced to serve, and every worker switches. The version before is kept, and goes on reading, so that it can serve
again at once. A worker that dies reads the announcements anew and goes on from where its groups are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from models.embeat_mlp import load_checkpoint
from models.errors import ModelError
from models.registry import Registry
from recall.errors import IndexUnavailable
from recall.index.edge import EdgeIndex
from recall.index.protocol import TrackIndex
from recall.index.switched import SwitchedIndex
from streams.agents.catalogue import Embedder
from streams.connections import connection_of
from streams.embedded.threads import in_thread
from streams.observing.health import has_share
from streams.observing.metrics import name_models
from streams.observing.offsets import OffsetReader
from streams.observing.stalls import Place
from streams.serving.announcements import announce, follow, read_updates
from streams.serving.checkpoints import MODEL, find_checkpoint, own_checkpoint
from streams.serving.collection import Collection, leave, open_index
from streams.serving.collection_name import collection_name
from streams.serving.versions import follows, installed, live, promoted, ready, refused
from streams.settings import Settings
from streams.worker import Parts, WorkerEnded, assigned_event
from topics.connection import BrokerUnavailable
from topics.errors import PublishFailed
from topics.records import ModelUpdate
from topics.specs import CATALOG_ARTISTS, CATALOG_PLAYLISTS, CATALOG_TRACKS, full_name

log = logging.getLogger(__name__)

CATALOGUE = (CATALOG_TRACKS, CATALOG_ARTISTS, CATALOG_PLAYLISTS)
LOOK_S = 0.25
# How long a switch waits for the records that the other collection has just applied.
ALIKE_WITHIN_S = 5.0
POLL_S = 0.005
# So long an answer may still be at work on a collection that nobody is sent to any more.
GRACE_S = 5.0
# So long after a switch both tell what they cannot apply: one may have been silent about what the other had not read.
BOTH_HEARD_S = 60.0

# Gives a collection the app that fills it, with this embedding.
Attach = Callable[[Collection, Embedder], None]


@dataclass
class LiveVersions:
    """Follows `models.updates` for the embedding.

    Attributes:
        reads: whether this worker reads the catalogue; one that does not opens collections, and others fill them.
        open: by version.
        index: asks the collection that serves; there once `begin` has returned.
    """

    settings: Settings
    parts: Parts
    reads: bool
    open: dict[str, Collection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is opened yet."""
        self._connection = connection_of(self.settings)
        self._registry = Registry(self.settings.models_path)
        self._offsets = OffsetReader(self._connection)
        self._updates: asyncio.Queue[ModelUpdate] = asyncio.Queue()
        self._closing: set[asyncio.Task[None]] = set()
        self._ends: dict[Place, int] = {}
        self._silent_at: dict[str, float] = {}

    async def begin(self) -> None:
        """Open the collection that serves.

        Raises:
            CheckpointMismatch: the weights that the installation brings are not there.
            IndexUnavailable: the collection does not open.
        """
        self._state = await self._first_state()
        first = await self._open(self._state.version, heard=True)
        self.index = SwitchedIndex(first.version, first.index)
        self._name()

    async def fill_with(self, attach: Attach) -> None:
        """Let the collection that serves be filled, and every one after it.

        Raises:
            ModelError: the weights of its version are not to be had.
        """
        self._attach = attach
        first = self.open[self.index.version]
        attach(first, await self._embedder_of(first.version))
        first.assigned = assigned_event(first.app)
        self.parts.apps.append(first.app)

    async def _first_state(self) -> ModelUpdate:
        """What was announced last; else the version that the installation brings."""
        prefix = self.settings.topic_prefix
        found, self._heard_to = await in_thread(partial(read_updates, self._connection, prefix))
        state = found.get(MODEL)
        own = await in_thread(partial(own_checkpoint, self.settings, self._registry))
        if state is None:
            state = installed(MODEL, own)
        elif own not in live(state) and self.reads:
            if state.by == "operator":
                log.info("%s serves, as promoted; the installation brings %s", state.version, own)
                return state
            state = promoted(state, own, by_operator=False)
        else:
            return state
        if self.reads:
            await self._announce(state)
        return state

    async def run(self) -> None:
        """Follow the announcements, for as long as the worker runs.

        Raises:
            WorkerEnded: what fills or keeps a collection has ended.
        """
        loop = asyncio.get_running_loop()
        stop = follow(
            self._connection,
            self.settings.topic_prefix,
            self._heard_to,
            lambda update: loop.call_soon_threadsafe(self._updates.put_nowait, update),
        )
        try:
            await self._live_up_to_state()
            while True:
                await self._hear()
                await self._advance()
                self._silence()
                for one in self.open.values():
                    if (failure := one.failure()) is not None:
                        raise WorkerEnded(f"the collection of {one.version} ended: {failure!r}") from failure
        finally:
            stop()
            await self._end()

    def elder_of(self, one: Collection) -> TrackIndex | None:
        """The index that serves, for a collection that does not: it knows since when tracks are known."""
        return None if self.index.version == one.version else self.index.of(self.index.version)

    async def close(self) -> None:
        """Close every collection; the worker ends."""
        for one in self.open.values():
            await one.rest()
            await one.index.close()
        self._offsets.close()

    async def _hear(self) -> None:
        """Wait a little for an update, and live up to it."""
        try:
            async with asyncio.timeout(LOOK_S):
                update = await self._updates.get()
        except TimeoutError:
            return
        if update.model == MODEL and follows(update, self._state):
            self._state = update
            await self._live_up_to_state()

    async def _live_up_to_state(self) -> None:
        for version in sorted(live(self._state) - self.open.keys()):
            await self._take_up(version)
        if self._state.version != self.index.version and self._state.version in self.open:
            await self._switch(self._state.version)
        for version in sorted(self.open.keys() - live(self._state) - {self.index.version}):
            await self._give_up(version)

    async def _take_up(self, version: str) -> None:
        """Open a version beside the one that serves, and begin to fill it."""
        try:
            # Before anything is made for it.
            embedder = await self._embedder_of(version) if self.reads else None
            one = await self._open(version)
        except (ModelError, IndexUnavailable, OSError) as error:
            if version == self._state.version:
                raise
            log.error("%s cannot be made ready: %s", version, error)
            if version == self._state.wanted and self.reads:
                await self._announce(refused(self._state, str(error)[:2000]))
            return
        log.info("%s is being made ready", version)
        self._ends = {}
        self.index.add(version, one.index)
        if embedder is not None:
            self._attach(one, embedder)
            one.assigned = assigned_event(one.app)
            await one.app.start()

    async def _embedder_of(self, version: str) -> Embedder:
        weights = await in_thread(partial(find_checkpoint, self.settings, self._registry, version))
        return await in_thread(partial(load_checkpoint, weights))

    async def _open(self, version: str, *, heard: bool = False) -> Collection:
        name = collection_name(self.settings, version, self._state.fills.get(version, 0))
        one = Collection(version, name, await open_index(self.settings, name), heard=heard)
        self.open[version] = one
        one.keep_in_order(self.settings)
        return one

    async def _switch(self, version: str) -> None:
        """Let another version serve, once it has what the one that serves has."""
        before, after = self.open[self.index.version], self.open[version]
        deadline = time.monotonic() + ALIKE_WITHIN_S
        after.heard = True
        while after.behind(before) and time.monotonic() < deadline:  # noqa: ASYNC110 - of two, some milliseconds
            await asyncio.sleep(POLL_S)
        self.index.switch(version)
        self._name()
        self._silent_at[before.version] = time.monotonic() + BOTH_HEARD_S
        self._silent_at.pop(version, None)
        if before.app is not None and after.app is not None:
            self.parts.apps[self.parts.apps.index(before.app)] = after.app
            self.parts.shares.pop(before.app.conf.id, None)
            self.parts.shares[after.app.conf.id] = has_share(after.app, after.assigned)
        log.info("%s serves, after %s", version, before.version)

    async def _give_up(self, version: str) -> None:
        """Close a version that is neither to serve nor to be kept, and delete its collection."""
        one = self.open.pop(version)
        await one.rest()
        if one.app is not None:
            await leave(one.app)
        index = await self.index.remove(version)
        self._silent_at.pop(version, None)
        log.info("%s is no longer kept ready", version)
        self._closing.add(asyncio.create_task(self._delete(version, index)))

    async def _delete(self, version: str, index: TrackIndex) -> None:
        if self.settings.qdrant_url:
            await asyncio.sleep(GRACE_S)
        try:
            await (index.drop() if self.reads else index.close())
        except (IndexUnavailable, OSError) as error:
            log.warning("the collection of %s could not be deleted: %s", version, error)

    async def _advance(self) -> None:
        """See how far the version that is wanted has come, and announce it when it can serve."""
        version = self._state.wanted
        if version is None or version not in self.open or not self.reads:
            return
        one = self.open[version]
        if not one.heard:
            if not await self._has_read_all(one) or self._builds(one):
                return
            await self.index.carry_learned(version)
            one.heard = True
        if not one.behind(self.open[self.index.version]):
            await self._announce(ready(self._state))

    async def _has_read_all(self, one: Collection) -> bool:
        """Whether its group has come to where the topics ended at the last look."""
        group = one.app.conf.id
        try:
            places = await in_thread(partial(self._places, group))
        except BrokerUnavailable:
            return False
        before, self._ends = self._ends, {place: standing.end for place, standing in places.items()}
        return before.keys() == places.keys() and all(places[place].through >= end for place, end in before.items())

    def _places(self, group: str) -> dict[Place, Any]:
        names = [full_name(spec, self.settings.topic_prefix) for spec in CATALOGUE]
        return self._offsets.standings(group, self._offsets.places(names))

    def _builds(self, one: Collection) -> bool:
        """Whether its searches would take longer than they need to: its graph comes first."""
        return isinstance(one.index, EdgeIndex) and one.index.unoptimised >= self.settings.optimise_above

    def _silence(self) -> None:
        for version, at_s in list(self._silent_at.items()):
            if time.monotonic() >= at_s:
                del self._silent_at[version]
                self.open[version].heard = False

    async def _announce(self, state: ModelUpdate) -> None:
        """Tell everybody, this worker included: it acts once it hears itself."""
        try:
            await in_thread(partial(announce, self._connection, self.settings.topic_prefix, state))
        except (BrokerUnavailable, PublishFailed) as error:
            log.warning("not announced, to be tried again: %s", error)

    def _name(self) -> None:
        self.parts.models[MODEL] = self.index.version
        name_models({MODEL: self.index.version})

    async def _end(self) -> None:
        """Leave the groups of the apps that the worker itself does not know of."""
        mine = [one.app for one in self.open.values() if one.app is not None and one.app not in self.parts.apps]
        await asyncio.gather(*map(leave, mine), *self._closing, return_exceptions=True)
