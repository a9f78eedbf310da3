"""Past sessions for the worker that answers: all of `listening.sessions`, followed as it grows.

Every such worker reads the whole topic by itself, so it has no consumer group: how far it came is kept in the file with
what it read. Without the file, or when that is damaged, everything that the topic still holds is read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from models.errors import CheckpointMismatch
from models.past_sessions import PastSessions, PastSessionsConfig
from models.past_sessions_file import Offsets, load, save
from recall.session import LIKED_FROM
from streams.connections import connection_of
from streams.settings import Settings
from topics.codec import decode
from topics.errors import RecordRefused
from topics.records import ListeningSession, SessionTrack
from topics.specs import LISTENING_SESSIONS, full_name

log = logging.getLogger(__name__)

# A session takes some 40 us: answers wait no longer than for so many.
AT_ONCE = 50
SAVE_S = 300.0
WAIT_MS = 500
AGAIN_S = 2.0


class PastSessionsFollower:
    """Reads sessions into memory, for ever.

    Attributes:
        sessions: what has been read so far.
    """

    def __init__(self, settings: Settings, config: PastSessionsConfig | None = None) -> None:
        self._settings = settings
        self._config = config or PastSessionsConfig(sessions=settings.past_sessions_max)
        self._path = path_of(settings)
        self._offsets: Offsets = {}
        self._saved: Offsets = {}
        self.sessions = PastSessions(self._config)

    async def run(self) -> None:
        """Follow the topic until cancelled; what was read is then saved."""
        await asyncio.to_thread(self._load)
        try:
            while True:
                try:
                    await self._follow()
                except (KafkaError, OSError) as error:
                    log.warning("past sessions are not followed: %r", error)
                await asyncio.sleep(AGAIN_S)
        finally:
            self._save()

    async def _follow(self) -> None:
        connection = connection_of(self._settings)
        # Without a group every partition is this consumer's.
        consumer = AIOKafkaConsumer(
            full_name(LISTENING_SESSIONS, self._settings.topic_prefix),
            bootstrap_servers=self._settings.kafka_url.split(","),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **connection.security(),
        )
        await consumer.start()
        try:
            await self._go_on(consumer)
            saved_s = time.monotonic()
            while True:
                for place, records in (await consumer.getmany(timeout_ms=WAIT_MS, max_records=AT_ONCE)).items():
                    for record in records:
                        self.take(record.value)
                    self._offsets[place.partition] = records[-1].offset + 1
                if time.monotonic() - saved_s > SAVE_S:
                    self._save()
                    saved_s = time.monotonic()
        finally:
            await consumer.stop()

    async def _go_on(self, consumer: Any) -> None:
        places = sorted(consumer.assignment())
        if not places:
            raise OSError("expected partitions of past sessions, got none")
        ends = await consumer.end_offsets(places)
        for place in places:
            offset = self._offsets.get(place.partition, 0)
            # A topic that was made anew is shorter than what was read of the former one.
            consumer.seek(place, offset if offset <= ends[place] else 0)

    def take(self, value: bytes | None) -> None:
        """Hold the session in a record; one that cannot be read is passed over: who learns from it sets it aside."""
        try:
            session = decode(value, ListeningSession)
        except RecordRefused:
            return
        liked = [track.track_id for track in session.tracks if is_liked(track)]
        self.sessions.add(session.session_id, liked, session.ended_at_ms)

    def _load(self) -> None:
        try:
            self.sessions, self._offsets = load(self._path, self._config)
        except FileNotFoundError:
            log.info("past sessions are read from the topic")
        except CheckpointMismatch as error:
            log.warning("past sessions are read from the topic again: %s", error)
        self._saved = dict(self._offsets)

    def _save(self) -> None:
        if self._offsets == self._saved:
            return
        try:
            save(self._path, self.sessions, self._offsets)
        except OSError as error:
            log.warning("past sessions are not saved: %s", error)
        else:
            self._saved = dict(self._offsets)


def path_of(settings: Settings) -> Path:
    """The file of an installation."""
    name = f"{settings.topic_prefix}-sessions" if settings.topic_prefix else "sessions"
    return settings.data_dir / "models" / f"{name}.safetensors"


def is_liked(track: SessionTrack) -> bool:
    """Whether a hearing says that the track belongs where it was heard."""
    return not track.skipped and (track.heard is None or track.heard >= LIKED_FROM)
