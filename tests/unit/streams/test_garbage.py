from __future__ import annotations

import asyncio
import gc
import platform
import weakref
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from streams import garbage


class Ring:
    """Holds itself, so that only a search finds it once nobody else does."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


async def is_found(gone: weakref.ref[Ring]) -> bool:
    searching = asyncio.create_task(garbage.keep_collected(every_s=0.001))
    try:
        async with asyncio.timeout(60):
            while gone() is not None:
                await asyncio.sleep(0.001)
            return True
    finally:
        searching.cancel()


async def test_what_came_after_the_start_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "ALL_EVERY", 1_000_000)
    garbage.settle()
    assert await is_found(weakref.ref(Ring()))


async def test_what_was_taken_to_stay_is_found_later() -> None:
    ring = Ring()
    garbage.settle()
    gone = weakref.ref(ring)
    del ring
    gc.collect()
    assert gone() is not None
    assert await is_found(gone)


def test_no_search_of_everything_comes_by_itself() -> None:
    garbage.settle()
    searches = []
    gc.callbacks.append(lambda phase, info: searches.append(info["generation"]))
    try:
        kept = [[number] for number in range(1_000_000)]
    finally:
        gc.callbacks.pop()
    assert len(kept) == 1_000_000
    assert 1 in searches
    assert 2 not in searches


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of another library")
def test_what_was_freed_goes_back_to_the_system() -> None:
    # Each smaller than what the allocator maps by itself, and one at the end that keeps the heap from shrinking.
    replaced = [np.ones(12_000) for _ in range(2_000)]
    last = np.ones(12_000)
    del replaced
    held = psutil.Process().memory_info().rss
    garbage.settle()
    assert psutil.Process().memory_info().rss < held - 150_000_000
    assert last.sum() == 12_000
