"""A worker's collections as announcements come: without Kafka, and with indexes of plain arithmetic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import VersionDamaged
from recall.errors import IndexUnavailable
from recall.index.switched import SwitchedIndex
from recall.tracks import COOCCURRENCE
from streams.observing.stalls import Place, Standing
from streams.serving import live as module
from streams.serving.collection import Collection as OpenCollection
from streams.serving.live import LiveVersions
from streams.serving.versions import installed, promoted, pruned, ready, rolled_back
from streams.settings import Settings
from streams.worker import Parts, WorkerEnded
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import at, direction
from topics.records import ModelUpdate

OLD, NEW = "old-1", "new-2"
PLACE = Place("catalog.tracks", 0)


class App:
    """What a Faust app is to those who start and stop it."""

    def __init__(self, name: str) -> None:
        self.conf = SimpleNamespace(id=name)
        self.crashed, self.crash_reason = False, None
        self.on_rebalance_complete = SimpleNamespace(connect=lambda *_, **__: None)
        self.rebalancing = False
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")

    async def commit(self, topics: Any) -> None:
        self.calls.append("commit")

    async def stop(self) -> None:
        self.calls.append("stop")


class World:
    """The log of announcements, how far the groups are, and the collections that were opened."""

    def __init__(self) -> None:
        self.log: list[ModelUpdate] = []
        self.tell: Callable[[ModelUpdate], object] | None = None
        self.standing = {"new": Standing(0, 5)}
        self.opened: dict[str, BruteIndex] = {}
        self.dropped: list[str] = []
        self.own = OLD
        self.damaged: set[str] = set()

    def announce(self, update: ModelUpdate) -> None:
        self.log.append(update)
        if self.tell is not None:
            self.tell(update)

    def follow(self, connection: Any, prefix: str, offset: int, tell: Callable[[ModelUpdate], object]) -> Any:
        self.tell = tell
        for update in self.log[offset:]:
            tell(update)
        return lambda: None

    def find(self, settings: Settings, registry: Any, version: str) -> Path:
        if version in self.damaged:
            raise VersionDamaged(f"{version}: damaged")
        return Path(version)

    async def open_index(self, settings: Settings, name: str) -> BruteIndex:
        index = self.opened.setdefault(name, BruteIndex())

        async def drop() -> None:
            self.dropped.append(name)

        index.drop = drop  # type: ignore[method-assign]
        return index

    def attach(self, collection: OpenCollection, embedder: Any) -> None:
        collection.app = App(collection.name)


class Offsets:
    def __init__(self, world: World) -> None:
        self._world = world

    def places(self, topics: Collection[str]) -> list[Place]:
        return [PLACE]

    def standings(self, group: str, places: Collection[Place]) -> dict[Place, Standing]:
        return {PLACE: self._world.standing["new"]}

    def close(self) -> None: ...


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    latest = lambda: {one.model: one for one in made.log}  # noqa: E731 - read again each time
    monkeypatch.setattr(module, "read_updates", lambda *_: (latest(), len(made.log)))
    monkeypatch.setattr(module, "announce", lambda connection, prefix, update: made.announce(update))
    monkeypatch.setattr(module, "follow", made.follow)
    monkeypatch.setattr(module, "find_checkpoint", made.find)
    monkeypatch.setattr(module, "own_checkpoint", lambda *_: made.own)
    monkeypatch.setattr(module, "open_index", made.open_index)
    monkeypatch.setattr(module, "load_checkpoint", lambda weights: weights)
    monkeypatch.setattr(module, "OffsetReader", lambda _: Offsets(made))
    monkeypatch.setattr(module, "LOOK_S", 0.005)
    return made


@asynccontextmanager
async def worker(
    world: World, tmp_path: Path, *, reads: bool = True
) -> AsyncIterator[tuple[LiveVersions, SwitchedIndex]]:
    versions = LiveVersions(Settings(data_dir=tmp_path), Parts(), reads)
    await versions.begin()
    if reads:
        await versions.fill_with(world.attach)
    index = versions.index
    task = asyncio.create_task(versions.run())
    try:
        yield versions, index
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await versions.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.001)


def last(world: World) -> ModelUpdate:
    return world.log[-1]


async def test_first_version_is_the_installation_s_own_and_is_announced(world: World, tmp_path: Path) -> None:
    async with worker(world, tmp_path) as (versions, index):
        assert (index.version, [one.version for one in world.log]) == (OLD, [OLD])
        assert [app.conf.id for app in versions.parts.apps] == [OLD]
    async with worker(world, tmp_path) as (_, index):
        assert (index.version, len(world.log)) == (OLD, 1)


async def test_wanted_version_serves_once_it_has_read_all_and_not_before(world: World, tmp_path: Path) -> None:
    async with worker(world, tmp_path) as (versions, index):
        (old_app,) = versions.parts.apps
        world.opened[OLD].stored = {"t": at(0, "t")}
        await index.update_vectors(COOCCURRENCE, {"t": direction(5)})
        world.announce(promoted(last(world), NEW))
        await until(lambda: NEW in versions.open)
        name = f"{NEW}.1"
        world.opened[name].stored = {"t": at(90, "t")}
        for through in (1, 4):
            world.standing["new"] = Standing(through, 5)
            for _ in range(20):
                await asyncio.sleep(0.002)
            assert index.version == OLD
        versions.open[OLD].applied["catalog.tracks", 0] = 7
        world.standing["new"] = Standing(5, 5)
        for _ in range(50):
            await asyncio.sleep(0.002)
        # The other has just applied one that this one has not.
        assert (index.version, last(world).wanted) == (OLD, NEW)
        versions.open[NEW].applied["catalog.tracks", 0] = 7
        await until(lambda: index.version == NEW)
        assert (last(world).version, last(world).previous, last(world).wanted) == (NEW, OLD, None)
        assert versions.parts.models["embeat_mlp"] == NEW
        assert (await index.vectors(["t"], using=COOCCURRENCE))["t"].tolist() == direction(5).tolist()
        (new_app,) = versions.parts.apps
        assert (new_app.conf.id, new_app.calls, old_app.calls) == (name, ["start"], [])
        assert versions.parts.shares.keys() == {name}
        world.announce(rolled_back(last(world)))
        await until(lambda: index.version == OLD)
        assert versions.parts.apps == [old_app]
        assert index.versions == {OLD, NEW}


async def test_version_that_is_kept_no_longer_is_left_closed_and_deleted(world: World, tmp_path: Path) -> None:
    async with worker(world, tmp_path) as (versions, index):
        world.standing["new"] = Standing(5, 5)
        world.announce(promoted(last(world), NEW))
        await until(lambda: index.version == NEW)
        old_app = versions.open[OLD].app
        world.announce(pruned(last(world)))
        await until(lambda: world.dropped == [OLD])
        assert index.versions == {NEW}
        assert old_app.calls == ["commit", "stop"]
        assert versions.open.keys() == {NEW}


async def test_promotion_that_is_taken_back_leaves_nothing(world: World, tmp_path: Path) -> None:
    async with worker(world, tmp_path) as (versions, index):
        world.announce(promoted(last(world), NEW))
        await until(lambda: NEW in versions.open)
        world.announce(promoted(last(world), OLD))
        await until(lambda: world.dropped == [f"{NEW}.1"])
        world.announce(promoted(last(world), NEW))
        await until(lambda: NEW in versions.open)
        # Another filling is another collection: nothing of the first one is taken for read.
        assert versions.open[NEW].name == f"{NEW}.3"
        assert index.version == OLD


@pytest.mark.parametrize("state", ["wanted", "served", "rolled back"])
async def test_worker_that_starts_anew_goes_on_from_what_was_announced(
    world: World, tmp_path: Path, state: str
) -> None:
    served = ready(promoted(installed("embeat_mlp", OLD), NEW))
    told = {"wanted": promoted(installed("embeat_mlp", OLD), NEW), "served": served, "rolled back": rolled_back(served)}
    world.log = [installed("embeat_mlp", OLD), told[state]]
    async with worker(world, tmp_path) as (versions, index):
        assert index.version == (NEW if state == "served" else OLD)
        await until(lambda: versions.open.keys() == {OLD, NEW})
        assert {one.name for one in versions.open.values()} == {OLD, f"{NEW}.1"}
        if state == "wanted":
            world.standing["new"] = Standing(5, 5)
            await until(lambda: index.version == NEW)


async def test_version_whose_files_are_damaged_is_refused_and_nothing_made_for_it(world: World, tmp_path: Path) -> None:
    world.damaged = {NEW}
    async with worker(world, tmp_path) as (versions, index):
        world.announce(promoted(last(world), NEW))
        await until(lambda: last(world).refused == f"{NEW}: damaged")
        assert last(world).wanted is None
        assert (index.version, versions.open.keys(), world.opened.keys()) == (OLD, {OLD}, {OLD})


async def test_worker_that_only_answers_switches_when_it_is_told(world: World, tmp_path: Path) -> None:
    world.log = [installed("embeat_mlp", OLD)]
    async with worker(world, tmp_path, reads=False) as (_, index):
        wanted = promoted(last(world), NEW)
        world.announce(wanted)
        await until(lambda: index.versions == {OLD, NEW})
        assert index.version == OLD
        world.announce(ready(wanted))
        await until(lambda: index.version == NEW)
        assert len(world.log) == 3


async def test_package_with_another_version_has_it_made_ready_unless_an_operator_chose(
    world: World, tmp_path: Path
) -> None:
    world.log, world.own = [installed("embeat_mlp", OLD)], NEW
    async with worker(world, tmp_path) as (_, index):
        assert (index.version, last(world).wanted, last(world).by) == (OLD, NEW, "installation")
    world.log, world.own = [ready(promoted(installed("embeat_mlp", OLD), "chosen-3"))], NEW
    async with worker(world, tmp_path) as (_, index):
        assert (index.version, len(world.log)) == ("chosen-3", 1)


async def test_app_that_crashes_beside_the_serving_one_ends_the_worker(world: World, tmp_path: Path) -> None:
    versions = LiveVersions(Settings(data_dir=tmp_path), Parts(), reads=True)
    await versions.begin()
    await versions.fill_with(world.attach)
    running = asyncio.create_task(versions.run())
    world.announce(promoted(last(world), NEW))
    await until(lambda: NEW in versions.open)
    versions.open[NEW].app.crash_reason = IndexUnavailable("no room")
    versions.open[NEW].app.crashed = True
    with pytest.raises(WorkerEnded, match=r"new-2.*no room"):
        await running
    await versions.close()
