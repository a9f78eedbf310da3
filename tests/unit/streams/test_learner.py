"""What is learned reaches the index, whichever comes first, the track or the playlist."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from models.track2vec import Change
from models.track2vec_state import LearnedState
from recall.errors import IndexUnavailable
from recall.tracks import COOCCURRENCE, IndexedTrack, Vector
from streams import learner as module
from streams.learner import Learner
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import direction, track

IDS = ("a", "b", "c")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.02)


class Flaky(BruteIndex):
    away = 0

    async def update_vectors(self, name: str, vectors: Mapping[str, Vector]) -> set[str]:
        if self.away:
            self.away -= 1
            raise IndexUnavailable("away")
        return await super().update_vectors(name, vectors)


@pytest.fixture
async def index() -> Flaky:
    return Flaky([IndexedTrack(track(i)) for i in IDS])


@asynccontextmanager
async def doing(made: Learner, *duties: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Do these for the length of a block, then close what does them."""
    tasks = [asyncio.ensure_future(duty()) for duty in duties]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await made.close()


@pytest.fixture
async def learner(tmp_path: Path, index: Flaky) -> AsyncIterator[Learner]:
    made = Learner(LearnedState.open(tmp_path / "state", None, "grown", 3), index)
    async with doing(made, *made.duties):
        yield made


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


def change(offset: int, *track_ids: str) -> Change:
    return Change("catalog.playlists", 0, offset, f"p:{offset}", track_ids)


def has(index: BruteIndex, *track_ids: str) -> bool:
    return all(COOCCURRENCE in index.stored[i].vectors for i in track_ids)


async def test_vectors_of_a_list_reach_the_index_as_unit_vectors(learner: Learner, index: Flaky) -> None:
    index.away = 3
    await learner.absorb([change(0, *IDS)])
    await eventually(lambda: has(index, *IDS))
    for i in IDS:
        assert np.linalg.norm(index.stored[i].vectors[COOCCURRENCE]) == pytest.approx(1, abs=1e-3)


async def test_track_that_comes_after_its_playlist_gets_its_vector(learner: Learner, index: Flaky) -> None:
    await learner.absorb([change(0, "late", "a", "b")])
    assert learner.known(["late", "nobody"]).keys() == {"late"}
    await eventually(lambda: has(index, "a", "b"))
    index.stored["late"] = IndexedTrack(track("late"))
    await eventually(lambda: has(index, "late"))


async def test_track_that_comes_while_its_list_is_learned_gets_its_vector_at_once(
    tmp_path: Path, index: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 3600)
    made = Learner(LearnedState.open(tmp_path / "state", None, "grown", 3), index)
    async with doing(made, made.keep_learning, made.keep_written, made.keep_offering):
        await made.absorb([change(0, "late", "a", "b")])
        await made.brought()
        index.stored["late"] = IndexedTrack(track("late"))
        made.was_indexed(["late", "nobody"])
        await eventually(lambda: has(index, "late"))


async def test_what_is_forgotten_while_a_track_is_indexed_with_it_leaves_the_index(tmp_path: Path) -> None:
    index = Flaky([])
    made = Learner(LearnedState.open(tmp_path / "state", None, "grown", 3), index)
    async with doing(made, made.keep_learning, made.keep_written):
        await made.absorb([change(0, "late", "later")])
        await eventually(lambda: made._model.is_given)
        told = made.known(["late"])
        await made.absorb([Change("catalog.playlists", 0, 1, "p:0", None)])
        await eventually(lambda: made._model.is_given)
        index.stored["late"] = IndexedTrack(track("late"), {COOCCURRENCE: told["late"]})
        made.was_indexed(["late"])
        await eventually(lambda: not index.stored["late"].vectors[COOCCURRENCE].any())


async def test_track_begins_where_the_index_has_it(learner: Learner, index: Flaky) -> None:
    index.stored["a"] = IndexedTrack(track("a"), {COOCCURRENCE: direction(30)})
    # One track has nothing to learn from, and stays where it began.
    await learner.absorb([change(0, "a")])
    np.testing.assert_allclose(learner.known(["a"])["a"], direction(30), atol=1e-3)


async def test_vector_that_an_index_does_not_have_is_written_after_a_restart(tmp_path: Path, index: Flaky) -> None:
    state = LearnedState.open(tmp_path / "state", None, "grown", 3)
    state.absorb([change(0, *IDS)])
    state.close()
    made = Learner(LearnedState.open(tmp_path / "state", None, "grown", 3), index)
    async with doing(made, *made.duties):
        await eventually(lambda: has(index, *IDS))


async def test_nothing_is_written_that_is_still_being_learned(tmp_path: Path) -> None:
    state = LearnedState.open(tmp_path / "state", None, "grown", 3)
    due_at_writes: list[int] = []

    class Watching(BruteIndex):
        async def update_vectors(self, name: str, vectors: Mapping[str, Vector]) -> set[str]:
            due_at_writes.append(len(state.model.due))
            return await super().update_vectors(name, vectors)

    index = Watching([IndexedTrack(track(f"t{i}")) for i in range(300)])
    made = Learner(state, index)
    # Far more than one step goes over.
    await made.absorb([change(i, *(f"t{(7 * i + j) % 300}" for j in range(40))) for i in range(60)])
    async with doing(made, made.keep_written, made.keep_learning):
        await eventually(lambda: has(index, *(f"t{i}" for i in range(300))))
    assert set(due_at_writes) == {0}


@pytest.mark.parametrize("looked_at", [32, 1_024])
async def test_it_is_told_when_what_came_before_is_in_the_index_and_not_sooner(
    looked_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", looked_at)
    state = LearnedState.open(tmp_path / "state", None, "grown", 3)
    index = BruteIndex([IndexedTrack(track(f"t{i}")) for i in range(300)])
    made = Learner(state, index)
    async with doing(made, made.keep_written, made.keep_learning):
        for round_ in range(2):
            some = [f"t{150 * round_ + j}" for j in range(150)]
            await made.absorb(
                [change(20 * round_ + i, *(some[(7 * i + j) % 150] for j in range(20))) for i in range(20)]
            )
            async with asyncio.timeout(60):
                await made.brought()
            assert not state.model.due
            assert has(index, *some)
            # Where the index has them is where they are.
            places = made.known(some)
            nearness = [float(index.stored[one].vectors[COOCCURRENCE] @ place) for one, place in places.items()]
            assert len(nearness) == 150
            assert min(nearness) > 1 - module.WORTH_A_WRITE - 1e-5


async def test_who_waits_for_what_came_before_does_not_wait_for_what_comes_since(
    tmp_path: Path, index: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HOLD_S", 0.05)
    state = LearnedState.open(tmp_path / "state", None, "grown", 3)
    made = Learner(state, index)
    settle, offsets = state.settle, itertools.count(1)

    def more_comes_meanwhile(tracks: int) -> int:
        state.absorb([change(next(offsets), "b", "c")], lambda new: {})
        return settle(tracks)

    monkeypatch.setattr(state, "settle", more_comes_meanwhile)
    await made.absorb([change(0, *IDS)])
    async with doing(made, made.keep_written, made.keep_learning):
        async with asyncio.timeout(60):
            await made.brought()
        assert state.model.due
        assert "p:0" not in state.model.due
        assert has(index, *IDS)


async def test_learning_rests_but_for_who_waits(tmp_path: Path, index: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    state = LearnedState.open(tmp_path / "state", None, "grown", 3)
    made = Learner(state, index)
    rests: list[float] = []
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        await pause(0)

    async def rests_of(*duties: Callable[[], Awaitable[None]], until: Callable[[], Awaitable[None]]) -> list[float]:
        rests.clear()
        tasks = [asyncio.ensure_future(duty()) for duty in duties]
        async with asyncio.timeout(60):
            await until()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [one for one in rests if one != module.WRITE_S]

    async def once_learned() -> None:
        while state.model.due:
            await pause(0.01)

    await made.absorb([change(0, *IDS)])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    alone = await rests_of(made.keep_learning, until=once_learned)
    assert alone
    assert all(one > 0 for one in alone)
    await made.absorb([change(1, *IDS)])
    waited_for = await rests_of(made.keep_learning, made.keep_written, until=made.brought)
    assert 0.0 in waited_for
    await made.close()


async def test_what_is_learned_for_ever_is_written_all_the_same(
    tmp_path: Path, index: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HOLD_S", 0.05)
    state = LearnedState.open(tmp_path / "state", None, "grown", 3)
    made = Learner(state, index)
    await made.absorb([change(0, *IDS)])
    assert state.model.due
    async with doing(made, made.keep_written):
        await eventually(lambda: has(index, *IDS))
        assert state.model.due
