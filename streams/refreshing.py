"""Keeps the collaborative tables up to date: learned anew beside the answers, taken up by them when they are whole."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.embeat_mlp import load_checkpoint
from models.errors import CheckpointMismatch
from models.tables import MODEL, current, load, read_manifest, save, versions
from recall.shelf import Shelf
from streams.collaborating import tables_from
from streams.connections import connection_of
from streams.embedded.process import tied
from streams.giving_way import giving_way
from streams.logged import Ends, ends_of, read_log
from streams.serving.announcements import tell_served
from streams.serving.checkpoints import serving_checkpoint
from streams.settings import Settings
from topics.connection import BrokerUnavailable
from topics.specs import CATALOG_PLAYLISTS, LISTENING_SESSIONS

log = logging.getLogger(__name__)

# A log that has not grown for so long has come to rest.
LOOK_S = 10.0
TAKE_UP_S = 1.0
# A log that never comes to rest is learned from all the same, once so much time has passed.
UNREST_S = 600.0
# Learning takes at most one part in so many of a core's time.
SHARE = 5
SEED = 7


def directory_of(settings: Settings) -> Path:
    """Where an installation keeps its collaborative tables."""
    return settings.data_dir / "models" / (f"{settings.topic_prefix}-{MODEL}" if settings.topic_prefix else MODEL)


def refresh(
    settings: Settings, seed: int, on_step: Callable[[str, int, int], None] = lambda doing, done, total: None
) -> dict[str, Any]:
    """Learn from all that the log holds now, and let it serve; what the new version says of itself.

    Two at once would let the older of them serve in the end, so the second waits for the first, and learns only if
    that one has not learned from all that is there.

    Raises:
        BrokerUnavailable, PublishFailed: Kafka does not answer.
    """
    directory = directory_of(settings)
    with _alone(directory) as waited:
        if waited and (version := _up_to_date(settings)):
            return {"version": version, **read_manifest(directory, version)}
        logged = read_log(connection_of(settings), settings.topic_prefix)
        manifest = {"offsets": logged.offsets, "made_at_ms": int(time.time() * 1000)}
        model = load_checkpoint(serving_checkpoint(settings))
        tables = tables_from(
            logged.tracks,
            logged.lists,
            model,
            seed=seed,
            manifest=manifest,
            listeners=logged.listeners,
            on_step=on_step,
        )
        version = save(tables, directory)
        tell_served(connection_of(settings), settings.topic_prefix, MODEL, version, by_operator=False)
    return {"version": version, **tables.manifest}


class Refresher:
    """Starts a child process that learns anew, when the log has changed and come to rest."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._before: Ends = {}
        self._unrest_since_s = time.monotonic()
        self._not_before_s = 0.0

    async def run(self) -> None:
        """For ever; what fails is tried again."""
        while True:
            try:
                await self.look()
            except BrokerUnavailable as error:
                log.warning("the log cannot be looked at: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> bool:
        """Learn anew if it is time to; whether it was."""
        settings, now_s = self._settings, time.monotonic()
        ends = await asyncio.to_thread(ends_of, connection_of(settings), settings.topic_prefix)
        rests = ends == self._before
        if rests:
            self._unrest_since_s = now_s
        self._before = ends
        if now_s < self._not_before_s or not (rests or now_s - self._unrest_since_s > UNREST_S):
            return False
        if not _lists(ends) or ends == learned_from(settings) or rolled_back(settings):
            return False
        self._unrest_since_s = now_s
        await learn_in_child(settings)
        self._not_before_s = time.monotonic() + (SHARE - 1) * (time.monotonic() - now_s)
        return True


async def learn_in_child(settings: Settings) -> None:
    """Run `throughbeat train collaborative` to its end, out of the way of everything else; a failure is logged."""
    from streams.up import environment_of

    command = (sys.executable, "-m", "streams.cli", "train", "collaborative", "--seed", str(SEED), "--json")
    child = await asyncio.create_subprocess_exec(
        *tied(command),
        env={**os.environ, **environment_of(settings)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    with giving_way(child.pid):
        try:
            said, failed = await child.communicate()
        except asyncio.CancelledError:
            child.kill()
            await child.wait()
            raise
    if child.returncode:
        log.warning("the collaborative tables were not learned: %s", failed.decode(errors="replace")[-500:].strip())
    else:
        log.info("collaborative tables: %s", said.decode(errors="replace").strip())


def rolled_back(settings: Settings) -> bool:
    """Whether somebody has gone back to an older version: then that stays until they want another."""
    there, serving = versions(directory_of(settings)), current(directory_of(settings))
    return serving in there[1:]


def learned_from(settings: Settings) -> Ends | None:
    """The offsets behind the version that serves; `None` when there is none that can be read."""
    directory = directory_of(settings)
    version = current(directory)
    try:
        return None if version is None else read_manifest(directory, version)["offsets"]
    except CheckpointMismatch as error:
        log.warning("learning anew: %s", error)
        return None


async def take_up(settings: Settings, shelf: Shelf, on_version: Callable[[str], None]) -> None:
    """For ever: put the version that serves on the shelf, when it is another; one that is damaged changes nothing."""
    directory, seen = directory_of(settings), None
    while True:
        version = current(directory)
        if version is not None and version != seen:
            seen = version
            try:
                tables = await asyncio.to_thread(_warm, directory, version)
            except CheckpointMismatch as error:
                log.error("the tables that served go on serving: %s", error)
            else:
                shelf.put(tables)
                on_version(version)
                log.info("collaborative tables %s serve", version)
        await asyncio.sleep(TAKE_UP_S)


def _warm(directory: Path, version: str) -> Any:
    """Tables with everything worked out that the first request would wait for."""
    tables = load(directory, version)
    one = tables.learned
    _ = tables.places, one.neighbours, one.fold_in, one.counts, one.place_within_artist, one.listed_factors
    return tables


def _up_to_date(settings: Settings) -> str | None:
    """The version that serves, if it was learned from all that the log holds now."""
    if learned_from(settings) != ends_of(connection_of(settings), settings.topic_prefix):
        return None
    return current(directory_of(settings))


def _lists(ends: Ends) -> bool:
    return any(end for spec in (CATALOG_PLAYLISTS, LISTENING_SESSIONS) for end in ends[spec.name].values())


@contextmanager
def _alone(directory: Path) -> Iterator[bool]:
    """Nobody else learns in the directory for the length of the block; whether somebody did, and was waited for."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as lock:
        waited = False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield waited
