"""An index whose process is killed opens again with every write that it had acknowledged."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recall.index.edge import EdgeIndex
from recall.tracks import IndexedTrack
from tests.brute_index import BruteIndex
from tests.integration.index_process import DIMENSIONS, FLUSHES, MOMENTS, STORED, indexed, write


def stored_tracks() -> list[IndexedTrack]:
    return [indexed(f"t{number}", 0) for number in range(STORED)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that was closed in good order, to be copied."""
    directory = tmp_path_factory.mktemp("filled")

    async def fill() -> None:
        index = EdgeIndex.open(directory / "index", dimensions=DIMENSIONS)
        await index.upsert(stored_tracks())
        await index.close()

    asyncio.run(fill())
    return directory


@pytest.mark.parametrize("moment", [*MOMENTS, *FLUSHES])
def test_killed_index_opens_with_all_that_it_acknowledged(moment: str, filled: Path, tmp_path: Path) -> None:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "tests.integration.index_process", str(tmp_path), moment]
    died = subprocess.run(command, capture_output=True, timeout=120)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()[-2000:]
    acknowledged = len((tmp_path / "acknowledged").read_text().splitlines())
    asyncio.run(compare(tmp_path, acknowledged))


async def compare(directory: Path, acknowledged: int) -> None:
    """The index that was left against a model that was told the same, with the write that was under way or without."""
    model = BruteIndex(stored_tracks())
    for number in range(acknowledged):
        await write(model, number)
    at_least = plain(model.stored)
    await write(model, acknowledged)
    at_most = plain(model.stored)
    index = EdgeIndex.open(directory / "index", dimensions=DIMENSIONS)
    try:
        names = at_least.keys() | at_most.keys()
        found = plain(await index.fetch(sorted(names), with_vectors=True))
        assert [i for i in names if found.get(i) not in (at_least.get(i), at_most.get(i))] == []
        assert await index.count() == len(found)
        assert len(list((directory / "index").glob("shard-*"))) == 1
        await index.upsert([indexed("afterwards", 1)])
    finally:
        await index.close()


def plain(stored: dict[str, IndexedTrack]) -> dict[str, object]:
    return {i: (one.track, {name: v.tolist() for name, v in one.vectors.items()}) for i, one in stored.items()}
