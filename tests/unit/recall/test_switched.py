from __future__ import annotations

import asyncio

import numpy as np

from recall.index.switched import SwitchedIndex
from recall.tracks import ACOUSTIC, COOCCURRENCE, IndexedTrack
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import at, direction


def two() -> tuple[SwitchedIndex, BruteIndex, BruteIndex]:
    """One track whose vectors of the two versions are a right angle apart."""
    old, new = BruteIndex([at(0, "t")]), BruteIndex([at(90, "t")])
    index = SwitchedIndex("old", old)
    index.add("new", new)
    return index, old, new


async def sound(index: SwitchedIndex) -> float:
    return float((await index.vectors(["t"]))["t"][1].round(3))


async def test_answer_that_has_begun_stays_with_its_version_in_all_its_tasks() -> None:
    index, _, _ = two()
    with index.pinned() as version:
        index.switch("new")
        async with asyncio.TaskGroup() as tasks:
            channel = tasks.create_task(sound(index))
        assert (version, channel.result(), await sound(index), index.version) == ("old", 0.0, 0.0, "old")
    assert (await sound(index), index.version) == (1.0, "new")
    with index.pinned() as version:
        assert (version, await sound(index)) == ("new", 1.0)


async def test_answers_side_by_side_are_pinned_apart() -> None:
    index, _, _ = two()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def answer() -> tuple[str, float]:
        with index.pinned() as version:
            begun.set()
            await go_on.wait()
            return version, await sound(index)

    first = asyncio.create_task(answer())
    await begun.wait()
    index.switch("new")
    second = asyncio.create_task(answer())
    go_on.set()
    assert [await first, await second] == [("old", 0.0), ("new", 1.0)]


async def test_collection_is_given_back_only_when_nobody_is_pinned_to_it() -> None:
    index, old, _ = two()
    with index.pinned():
        index.switch("new")
        removing = asyncio.create_task(index.remove("old"))
        await asyncio.sleep(0)
        assert not removing.done()
        assert await sound(index) == 0.0
    assert await removing is old
    assert index.versions == {"new"}


async def test_what_is_learned_reaches_every_collection_and_the_embedding_s_own_vectors_do_not() -> None:
    index, old, new = two()
    assert await index.update_vectors(COOCCURRENCE, {"t": direction(30), "nobody": direction(1)}) == {"t"}
    for one in (old, new):
        np.testing.assert_array_equal(one.stored["t"].vectors[COOCCURRENCE], direction(30))
    await index.update_vectors(ACOUSTIC, {"t": direction(10)})
    np.testing.assert_array_equal(new.stored["t"].vectors[ACOUSTIC], direction(90))


async def test_what_was_learned_before_is_carried_over_and_nothing_else() -> None:
    tracks = [IndexedTrack(at(0, f"t{n}").track, {COOCCURRENCE: direction(n)}) for n in range(300)]
    old, new = BruteIndex([*tracks, at(0, "unlearned")]), BruteIndex([at(90, f"t{n}") for n in range(1, 400)])
    index = SwitchedIndex("old", old)
    index.add("new", new)
    await index.carry_learned("new")
    learned = {i for i, one in new.stored.items() if COOCCURRENCE in one.vectors}
    assert learned == {f"t{n}" for n in range(1, 300)}
    np.testing.assert_array_equal(new.stored["t7"].vectors[COOCCURRENCE], direction(7))
    np.testing.assert_array_equal(new.stored["t7"].vectors[ACOUSTIC], direction(90))
