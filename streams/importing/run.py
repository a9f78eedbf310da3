"""Imports one file: reads, converts, sends, and counts what the broker acknowledged."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from streams.importing.artists import open_artists
from streams.importing.charts import open_charts
from streams.importing.errors import ImportStopped
from streams.importing.playlists import open_playlists
from streams.importing.progress import ImportState, drop_state, load_state, save_state, state_path
from streams.importing.refused import Refused, RefusedFile
from streams.importing.send import Acknowledgement, BulkSender, Sender, topic_id
from streams.importing.source import Item, Letter, Source, letter_of, row_of, rows_in, text_of
from streams.importing.times import stamp_ms
from streams.importing.tracks import open_tracks
from streams.settings import Settings
from topics.errors import RecordRefused
from topics.specs import full_name

Kind = Literal["tracks", "artists", "playlists", "charts"]

OPENERS: dict[Kind, Callable[[Path], Source]] = {
    "tracks": open_tracks,
    "artists": open_artists,
    "playlists": open_playlists,
    "charts": open_charts,
}
# A chunk is what is acknowledged, and written down, at once: some 50 ms of work. Few wait while the next is made.
CHUNK_ITEMS = 2_000
CHUNK_BYTES = 4 * 1024 * 1024
CHUNKS_WAITING = 3
STOPS_WITHIN_S = 0.1


@dataclass(frozen=True)
class Options:
    """How to import.

    Attributes:
        updated_at: `now` or a time, for records that have no stamp of their own; `None` = they have none, and so
            replace whatever is there.
        restart: forget where an interrupted import stopped.
        once: do nothing when this very file has been imported to this very topic; else a finished import is forgotten.
        refused_path: where to write refused rows, as JSON lines.
        stopping: once set, by another thread, the import ends at once, even while the broker is away.
    """

    updated_at: str | None = None
    restart: bool = False
    once: bool = False
    refused_path: Path | None = None
    stopping: threading.Event | None = None


@dataclass(frozen=True)
class Progress:
    """Where an import stands; `rows`, `sent` and `refused` count from the start of the file.

    Attributes:
        resumed_rows: rows that an interrupted import had done.
        total: rows of the file, as near as line ends tell.
    """

    kind: Kind
    path: Path
    total: int
    rows: int
    sent: int
    refused: int
    resumed_rows: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Report:
    """What an import did; `rows`, `sent` and `refused` count from the start of the file.

    Attributes:
        sent: records that the broker acknowledged.
        refused: rows that were not sent, by reason.
        resumed_rows: rows that were done before, by an interrupted import.
        seconds: how long this run took.
        rows_per_second: of this run.
    """

    kind: Kind
    path: Path
    rows: int
    sent: int
    refused: dict[str, int]
    resumed_rows: int
    seconds: float
    rows_per_second: float


@dataclass
class Chunk:
    """Items that are acknowledged together."""

    items: int = 0
    rows: int = 0
    letters: list[Letter] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def ignore(_progress: Progress) -> None:
    """Watch nothing."""


def import_file(
    kind: Kind, path: Path, settings: Settings, *, options: Options | None = None, on_progress: OnProgress = ignore
) -> Report:
    """Send every record of a file to its topic, going on where an interrupted import of the same file stopped.

    Nothing counts as sent that the broker did not acknowledge; what was sent when an import was interrupted may be
    sent again, which changes nothing on a compacted topic. `on_progress` is called at the start and after every
    acknowledged chunk; what it raises ends the import, which can then be resumed.

    Raises:
        BrokerUnavailable, UnknownTopic: no broker answers, or it has no such topic.
        ImportFailed: the file, the broker or the disk is at fault; the message says what to do.
        ImportStopped: `options.stopping` was set.
    """
    how, started = options or Options(), time.monotonic()
    source = OPENERS[kind](path)
    topic = full_name(source.topic, settings.topic_prefix)
    place = state_path(settings.data_dir, path, topic, topic_id(settings, topic), how.updated_at or "")
    state = _state_at_start(place, path, how)
    resumed = state.rows
    if not state.finished:
        told = Told(kind, path, source.total, resumed, on_progress)
        with RefusedFile(how.refused_path, go_on=resumed > 0) as refused_file:
            run = FileRun(source, state, place, refused_file, told)
            asyncio.run(_unless_stopped(run.to(BulkSender(settings, topic)), how.stopping))
        _finish(place, state, how)
    seconds = time.monotonic() - started
    rate = (state.rows - resumed) / seconds
    return Report(kind, path, state.rows, state.sent, dict(state.refused), resumed, seconds, rate)


def next_chunk(items: Iterator[Item], source: Source, first_row: int, updated_at_ms: int | None) -> Chunk:
    """The next items as Kafka records; an empty chunk at the end.

    Args:
        items: what is left of the file.
        source: makes records of them.
        first_row: the row of the file where the next item begins.
        updated_at_ms: stamp of records that have none.
    """
    chunk, size = Chunk(), 0
    for item in islice(items, CHUNK_ITEMS):
        rows = rows_in(item)
        try:
            letter = letter_of(source, item, updated_at_ms)
        except RecordRefused as refusal:
            row, text = row_of(item, first_row + chunk.rows), text_of(item)
            chunk.refused.append(Refused(row, rows, refusal.reason, text))
            size += len(text)
        else:
            chunk.letters.append(letter)
            size += len(letter.value)
        chunk.items, chunk.rows = chunk.items + 1, chunk.rows + rows
        if size > CHUNK_BYTES:
            break
    return chunk


@dataclass(frozen=True)
class Told:
    """What is told to who watches."""

    kind: Kind
    path: Path
    total: int
    resumed_rows: int
    on_progress: OnProgress

    def __call__(self, state: ImportState) -> None:
        """Tell where the import stands."""
        total = max(self.total, state.rows)
        counts = (total, state.rows, state.sent, state.refused_rows)
        self.on_progress(Progress(self.kind, self.path, *counts, self.resumed_rows))


class FileRun:
    """One file on its way to one topic."""

    def __init__(self, source: Source, state: ImportState, place: Path, refused_file: RefusedFile, told: Told) -> None:
        self._source = source
        self._state = state
        self._place = place
        self._refused_file = refused_file
        self._told = told

    async def to(self, sender: Sender) -> None:
        """Send all that is left of the file."""
        items = islice(self._source.items(), self._state.items, None)
        waiting: deque[tuple[Chunk, list[Acknowledgement]]] = deque()
        row = self._state.rows + 1
        async with sender:
            self._told(self._state)
            while (chunk := next_chunk(items, self._source, row, self._state.updated_at_ms)).items:
                row += chunk.rows
                waiting.append((chunk, await sender.post(chunk.letters)))
                if len(waiting) > CHUNKS_WAITING:
                    await self._settle(sender, *waiting.popleft())
            while waiting:
                await self._settle(sender, *waiting.popleft())

    async def _settle(self, sender: Sender, chunk: Chunk, posted: list[Acknowledgement]) -> None:
        await sender.confirm(posted)
        # First what was refused, then that it is done: a kill between the two shows a row twice, and hides none.
        self._refused_file.write(chunk.refused)
        self._state.items += chunk.items
        self._state.rows += chunk.rows
        self._state.sent += len(chunk.letters)
        reasons: Counter[str] = Counter()
        for refused in chunk.refused:
            reasons[refused.reason] += refused.rows
        self._state.refuse(reasons)
        save_state(self._place, self._state)
        self._told(self._state)


async def _unless_stopped(importing: Coroutine[Any, Any, None], stopping: threading.Event | None) -> None:
    task = asyncio.ensure_future(importing)
    try:
        while not (await asyncio.wait([task], timeout=STOPS_WITHIN_S))[0]:
            if stopping is not None and stopping.is_set():
                raise ImportStopped("the import was stopped: run it again to go on from here")
        task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


def _state_at_start(place: Path, path: Path, options: Options) -> ImportState:
    found = None if options.restart else load_state(place)
    if found and (options.once or not found.finished):
        return found
    stamp = None if options.updated_at is None else stamp_ms(options.updated_at, round(time.time() * 1000))
    return ImportState(file=str(path), updated_at_ms=stamp)


def _finish(place: Path, state: ImportState, options: Options) -> None:
    if options.once:
        state.finished = True
        save_state(place, state)
    else:
        drop_state(place)
