"""An index that is written all along, and whose process kills itself at a moment that it is told.

    python -m tests.integration.index_process DIRECTORY MOMENT

Each write is noted in DIRECTORY/acknowledged once the index has acknowledged it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recall.index import edge
from recall.index.edge import EdgeIndex
from recall.index.shards import ShardHome
from recall.tracks import ACOUSTIC, COOCCURRENCE, CataloguedTrack, IndexedTrack, Vector

DIMENSIONS = {ACOUSTIC: 64, COOCCURRENCE: 64}
STORED = 9_000
WRITTEN_BEFORE = 500


def vector(number: int) -> Vector:
    drawn = np.random.default_rng(number).normal(size=64)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def indexed(track_id: str, number: int) -> IndexedTrack:
    track = CataloguedTrack(track_id=track_id, title=f"Title {number}", updated_at_ms=number)
    return IndexedTrack(track, {ACOUSTIC: vector(number)})


async def write(index: Any, number: int) -> None:
    """The write of this number: any index, or a model of one, is told the same."""
    match number % 4:
        case 0:
            await index.update_vectors(COOCCURRENCE, {f"t{number % STORED}": vector(number)})
        case 1:
            await index.withdraw([f"t{number * 7 % STORED}"])
        case 2:
            await index.upsert([indexed(f"t{number * 3 % STORED}", number)])
        case 3:
            await index.upsert([indexed(f"new{number}-{n}", number) for n in range(5)])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_, **__: die()


def after(call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*given: Any) -> None:
        call(*given)
        die()

    return called


def amid_copies(copytree: Callable[..., Any]) -> Callable[..., Any]:
    left = iter(range(20))

    def copy_some(source: Any, target: Any, *_: Any, **__: Any) -> None:
        def copy(one: str, other: str) -> None:
            if next(left, None) is None:
                die()
            shutil.copy2(one, other)

        copytree(source, target, copy_function=copy)

    return copy_some


def amid(building: Callable[..., Any]) -> Callable[..., Any]:
    async def build(copy: Path) -> None:
        task = asyncio.create_task(building(copy))
        await asyncio.sleep(1.0)
        die()
        await task

    return build


def once_built(building: Callable[..., Any]) -> Callable[..., Any]:
    async def build(copy: Path) -> None:
        await building(copy)
        die()

    return build


MOMENTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "copying": (shutil, "copytree", amid_copies),
    "building": (edge, "optimise_copy", amid),
    "built": (edge, "optimise_copy", once_built),
    "bringing over": (edge, "catch_up", lambda _: brought_some),
    "before pointing": (ShardHome, "point_to", before),
    "pointing": (Path, "replace", before),
    "pointed": (ShardHome, "point_to", after),
    "noting": (ShardHome, "note_outside", before),
}
FLUSHES = {f"flushing for {delay_ms} ms": delay_ms / 1000 for delay_ms in (0, 5, 10, 20, 40, 80)}


async def brought_some(written: Any, source: Any, target: Any, *, until: int) -> None:
    from recall.index.growth import bring_over

    bring_over(written.take(3), source, target)
    die()


async def main(directory: Path, moment: str) -> None:
    index = EdgeIndex.open(directory / "index", dimensions=DIMENSIONS)
    acknowledged = (directory / "acknowledged").open("a", buffering=1)
    number = 0

    async def write_on() -> None:
        nonlocal number
        await write(index, number)
        acknowledged.write(f"{number}\n")
        number += 1

    while number < WRITTEN_BEFORE:
        await write_on()
    if moment in FLUSHES:
        await asyncio.create_subprocess_exec("sh", "-c", f"sleep {FLUSHES[moment]}; kill -9 {os.getpid()}")
        while True:
            await index.flush()
            await write_on()
    place, name, breaking = MOMENTS[moment]
    setattr(place, name, breaking(getattr(place, name)))
    optimising = asyncio.create_task(index.optimise())
    while not optimising.done():
        await write_on()
        await asyncio.sleep(0.002)
    await optimising


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
