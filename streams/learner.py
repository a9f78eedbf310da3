"""Learns from lists beside the answers: in one thread of low priority, and in small steps.

The kernel that learns does not hold the interpreter's lock, and the system lets the thread run when nothing else wants
to. What is learned reaches the index in small writes, the nearest things to an answer's own work that there are here.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from models.track2vec import Change, Track2Vec
from models.track2vec_state import LearnedState
from models.versions import read_weights, version_of
from recall.errors import IndexUnavailable
from recall.index.protocol import TrackIndex
from recall.tracks import COOCCURRENCE, Vector
from streams.observing.metrics import TRACK2VEC, TRACK2VEC_DRIFT
from streams.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")

NICENESS = 10
SEED = 7
# What a model began from that was never trained on files.
NOTHING = "grown"
# A vector is written when 1 less its cosine to the one in the index is more.
WORTH_A_WRITE = 0.01
# Tracks gone over in one step: some ten milliseconds; then at least as long a rest.
STEP_TRACKS = 500
# One write holds up an answer for a millisecond.
LOOKED_AT, WRITTEN_AT_ONCE = 1_024, 16
HOLD_S = 120.0
WRITE_S, WRITE_REST_S, SNAPSHOT_S, MEASURE_S, RETRY_S = 0.25, 0.01, 60.0, 15.0, 5.0
COMPARE_S = 600.0
MISSING_AT_ONCE = 512


class Learner:
    """Owns what is learned, and brings it to the index."""

    def __init__(self, state: LearnedState, index: TrackIndex) -> None:
        self._state = state
        self._index = index
        self._thread = ThreadPoolExecutor(1, "learner", initializer=_come_last)
        # Learned, and not in the catalogue yet: an order to try again in.
        self._missing: dict[str, None] = {}
        # Indexed by others since: an order to look at what the index has of them.
        self._indexed: dict[str, None] = {}
        # How many wait for what is learned.
        self._waiting = 0
        # Where tracks had moved at that time the index has them.
        self._brought_s, self._brought = -math.inf, asyncio.Condition()

    @property
    def version(self) -> str:
        """Of the model."""
        return self._state.version

    @property
    def identity(self) -> str:
        """Of what was learned; another has read other records."""
        return self._state.identity

    @property
    def duties(self) -> list[Callable[[], Awaitable[None]]]:
        """What runs for as long as the worker does."""
        return [self.keep_learning, self.keep_written, self.keep_compared, self.keep_offering, self.keep_safe]

    async def absorb(self, changes: Sequence[Change]) -> None:
        """Let each count once however often it comes; returns when the disk holds them.

        A track that is new here begins where the index has it, if something else has given it a place there.
        """
        wanted = {one for change in changes for one in change.track_ids or () if one not in self._model.rows}
        places = await self._places(sorted(wanted))
        await self._run(lambda: self._state.absorb(changes, lambda new: places))

    def known(self, track_ids: Iterable[str]) -> dict[str, Vector]:
        """The vectors of those of the tracks that some list holds, for tracks that are only now being indexed.

        A track that is being learned at this moment may be given half a step. Who brings them to the index says so
        (`was_indexed`).
        """
        return {track_id: vector for track_id, (vector, _) in self._model.learned(track_ids).items()}

    def was_indexed(self, track_ids: Iterable[str]) -> None:
        """Look at what the index has of these: what has been learned of them meanwhile, or forgotten, is written."""
        self._indexed |= dict.fromkeys(one for one in track_ids if one in self._model.rows)

    async def keep_learning(self) -> None:
        """Go over what came last, for as long as the worker runs, at most half of the time unless somebody waits."""
        while True:
            began_s = time.monotonic()
            settled = await self._run(lambda: self._state.settle(STEP_TRACKS))
            rest_s = 0.0 if self._waiting else time.monotonic() - began_s
            await asyncio.sleep(rest_s if settled else WRITE_S)

    async def keep_written(self) -> None:
        """Bring to the index what has moved, for as long as the worker runs.

        What is still being learned moves again, and each write leaves a track outside the search graph: so it waits for
        the end of that, though not for ever.
        """
        written_s = time.monotonic()
        while True:
            if self._model.due and time.monotonic() - written_s < HOLD_S:
                await asyncio.sleep(WRITE_S)
                continue
            began_s = time.monotonic()
            indexed, self._indexed = self._indexed, {}
            await self._compare_in_parts(indexed)
            moved, is_all = await self._run(self._moved)
            await self._retried(partial(self._write, moved))
            if is_all:
                async with self._brought:
                    self._brought_s = began_s
                    self._brought.notify_all()
            if not moved:
                written_s = time.monotonic()
            await asyncio.sleep(WRITE_S if not moved else WRITE_REST_S)

    async def brought(self) -> None:
        """Wait until what was absorbed before is learned, and the index has what is in the catalogue of it.

        Meanwhile learning does not rest.
        """
        self._waiting += 1
        try:
            due = await self._run(lambda: set(self._model.due))
            while due:
                await asyncio.sleep(WRITE_S)
                # What has come since then may be due for ever.
                due = await self._run(partial(due.intersection, self._model.due))
        finally:
            self._waiting -= 1
        since_s = time.monotonic()
        async with self._brought:
            await self._brought.wait_for(lambda: self._brought_s >= since_s)
        await self._offer(list(self._missing))

    async def keep_compared(self) -> None:
        """Look at all that the index has, round after round; what is elsewhere, or not there, is written again."""
        while True:
            await self._compare_in_parts(list(self._model.track_ids))
            await asyncio.sleep(COMPARE_S)

    async def keep_offering(self) -> None:
        """Offer again, a few at a time, what the catalogue did not hold."""
        while True:
            await asyncio.sleep(RETRY_S)
            await self._offer(list(islice(self._missing, MISSING_AT_ONCE)))

    async def keep_safe(self) -> None:
        """Write a snapshot now and then, and tell how it goes."""
        saved_s = time.monotonic()
        while True:
            await asyncio.sleep(MEASURE_S)
            await self._run(self._measure)
            if self._state.is_long or time.monotonic() - saved_s > SNAPSHOT_S:
                await self._run(self._state.snapshot)
                saved_s = time.monotonic()

    async def close(self) -> None:
        """Write what is not written."""
        await self._run(self._state.close)
        self._thread.shutdown()

    @property
    def _model(self) -> Track2Vec:
        return self._state.model

    def _moved(self) -> tuple[dict[str, Vector], bool]:
        """Some of what has moved, and whether it is all that has."""
        return self._model.moved(WORTH_A_WRITE, LOOKED_AT), self._model.is_given

    async def _compare_in_parts(self, every: Iterable[str]) -> None:
        for track_ids in in_parts(every, WRITTEN_AT_ONCE):
            await self._retried(partial(self._compare, track_ids))
            await asyncio.sleep(WRITE_REST_S)

    async def _compare(self, track_ids: Sequence[str]) -> None:
        stored = await self._index.vectors(track_ids, using=COOCCURRENCE)
        await self._run(lambda: self._model.was_given(track_ids, stored))

    async def _offer(self, track_ids: Sequence[str]) -> None:
        for track_id in track_ids:
            self._missing.pop(track_id, None)
        await self._retried(partial(self._write, self.known(track_ids)))

    async def _places(self, track_ids: Sequence[str]) -> dict[str, Vector]:
        """Where the index has tracks; nothing while it is away: no list has to wait for it."""
        found: dict[str, Vector] = {}
        try:
            for some in in_parts(track_ids, LOOKED_AT):
                found |= await self._index.vectors(some, using=COOCCURRENCE)
        except IndexUnavailable as error:
            log.warning("tracks begin anywhere: %s", error)
        return found

    async def _write(self, vectors: dict[str, Vector]) -> None:
        for track_ids in in_parts(vectors, WRITTEN_AT_ONCE):
            written = await self._index.update_vectors(COOCCURRENCE, {one: vectors[one] for one in track_ids})
            self._missing |= dict.fromkeys(one for one in track_ids if one not in written)
            await asyncio.sleep(WRITE_REST_S)

    async def _retried(self, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step again and again while the index is away: a write that was made already changes nothing."""
        while True:
            try:
                return await step()
            except IndexUnavailable as error:
                log.warning("what was learned is not in the index yet: %s", error)
                await asyncio.sleep(RETRY_S)

    def _measure(self) -> None:
        model = self._model
        TRACK2VEC.labels("tracks").set(len(model.track_ids))
        TRACK2VEC.labels("lists").set(len(model.lists))
        TRACK2VEC.labels("lists_due").set(len(model.due))
        TRACK2VEC.labels("tracks_not_in_catalogue").set(len(self._missing))
        if (drift := model.drift()) is not None:
            TRACK2VEC_DRIFT.set(drift)

    async def _run(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)


def learned_in(settings: Settings) -> Path:
    """Where an installation keeps what was learned, in a directory for each model that it began from."""
    return settings.data_dir / "cooccurrence"


def base_of(settings: Settings) -> str:
    """Version of the trained model that the settings name, or what is said where there is none.

    Raises:
        CheckpointMismatch: there is no such file.
    """
    if not settings.track2vec_checkpoint:
        return NOTHING
    base = Path(settings.track2vec_checkpoint)
    return version_of(base, read_weights(base))


async def open_learner(settings: Settings, index: TrackIndex) -> Learner:
    """What was learned in the data directory, from the trained model that the settings name or from nothing.

    Raises:
        StateInUse: another process learns there.
        CheckpointMismatch: what was learned, or the trained model, cannot be read.
    """
    base = Path(settings.track2vec_checkpoint) if settings.track2vec_checkpoint else None
    name = base_of(settings)
    root = learned_in(settings) / name
    # What came since the last snapshot is learned from once more: not while others wait.
    return Learner(await asyncio.to_thread(LearnedState.open, root, base, name, SEED), index)


def in_parts(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Lists of at most `size`, in order."""
    remaining = iter(items)
    while part := list(islice(remaining, size)):
        yield part


def _come_last() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
