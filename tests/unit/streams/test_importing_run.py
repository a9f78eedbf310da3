"""What counts as sent is what the broker acknowledged, chunk after chunk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from streams.importing.errors import NotAcknowledged
from streams.importing.progress import ImportState, load_state
from streams.importing.refused import RefusedFile
from streams.importing.run import CHUNK_ITEMS, FileRun, Progress, Told
from streams.importing.send import Acknowledgement
from streams.importing.source import Letter
from streams.importing.tracks import open_tracks


class LimitedSender:
    """Acknowledges so many chunks, in the order in which they were posted."""

    def __init__(self, chunks: int) -> None:
        self._left = chunks
        self.posted: list[bytes] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        return None

    async def post(self, letters: Sequence[Letter]) -> list[Acknowledgement]:
        self.posted += [letter.key for letter in letters]
        return []

    async def confirm(self, posted: Sequence[Acknowledgement]) -> None:
        self._left -= 1
        if self._left < 0:
            raise NotAcknowledged("the broker is away")


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    path = tmp_path / "tracks.csv"
    rows = [f"t{number},Title" for number in range(5 * CHUNK_ITEMS)]
    rows[0] = ",no id"
    path.write_text("\n".join(["track_id,title", *rows]))
    return path


def run(tracks: Path, state: ImportState, sender: LimitedSender) -> list[Progress]:
    seen: list[Progress] = []
    told = Told("tracks", tracks, 5 * CHUNK_ITEMS, state.rows, seen.append)
    with RefusedFile(None, go_on=False) as nowhere:
        asyncio.run(FileRun(open_tracks(tracks), state, tracks.with_suffix(".state"), nowhere, told).to(sender))
    return seen


def test_only_acknowledged_chunks_are_counted_and_written_down(tracks: Path) -> None:
    with pytest.raises(NotAcknowledged):
        run(tracks, ImportState(file="f"), LimitedSender(chunks=2))
    state = load_state(tracks.with_suffix(".state"))
    assert state is not None
    assert (state.items, state.rows, state.sent) == (2 * CHUNK_ITEMS, 2 * CHUNK_ITEMS, 2 * CHUNK_ITEMS - 1)
    assert state.refused == {"track_id: expected str of length >= 1": 1}


def test_resumed_run_sends_what_is_left_and_nothing_before_it(tracks: Path) -> None:
    done = 2 * CHUNK_ITEMS
    sender, state = LimitedSender(chunks=9), ImportState(file="f", items=done, rows=done, sent=done)
    seen = run(tracks, state, sender)
    assert sender.posted == [f"t{number}".encode() for number in range(done, 5 * CHUNK_ITEMS)]
    assert [progress.rows for progress in seen] == [done, 3 * CHUNK_ITEMS, 4 * CHUNK_ITEMS, 5 * CHUNK_ITEMS]
    assert {progress.resumed_rows for progress in seen} == {done}
