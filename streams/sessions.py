"""Sends sessions that are over to `listening.sessions`: those that a later event closed, and those fallen silent.

A worker killed between sending and forgetting sends a session again, with the same id and key, when its claim has run
out: readers count an id once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from streams.errors import StoreUnavailable
from streams.observing.metrics import SESSIONS
from streams.settings import Settings
from streams.state.sessions import PERSONS_AT_ONCE, Closed, SessionStore
from topics.codec import encode
from topics.errors import PublishFailed
from topics.specs import LISTENING_SESSIONS, full_name

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Producer(Protocol):
    """Writes to Kafka."""

    async def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Returns once the broker has acknowledged. Raises PublishFailed."""


class Reading(Protocol):
    """How far the events have been read."""

    async def partitions(self) -> Mapping[int, bool]:
        """This worker's partitions, and whether what was there when they came has been read."""


class CaughtUp:
    """The share that an app has of one of its topics.

    Only where the backlog is read does silence mean that nobody listened.
    """

    def __init__(self, app: Any, topic: str) -> None:
        self._app = app
        self._topic = topic
        # What was there when the partition came; 0 once it is read.
        self._backlog: dict[Any, int] = {}

    async def partitions(self) -> Mapping[int, bool]:
        """This worker's partitions, and whether what was there when they came has been read."""
        consumer = self._app.consumer
        assigned = {place for place in consumer.assignment() if place.topic == self._topic}
        if new := assigned - self._backlog.keys():
            self._backlog |= await consumer.highwaters(*new)
        self._backlog = {place: end for place, end in self._backlog.items() if place in assigned}
        told = {place.partition: end == 0 for place, end in self._backlog.items()}
        for place, end in self._backlog.items():
            # Told the next time: what was fetched last may still wait for its effect.
            if end and await consumer.position(place) >= end:
                self._backlog[place] = 0
        return told


class SessionCloser:
    """Closes and sends what is due, again and again."""

    def __init__(self, store: SessionStore, reading: Reading, producer: Producer, settings: Settings) -> None:
        self._store = store
        self._reading = reading
        self._producer = producer
        self._topic = full_name(LISTENING_SESSIONS, settings.topic_prefix)
        self._look_s = min(LOOK_S, settings.session_silence_s / 4)

    async def run(self) -> None:
        """Look for ever; what cannot be sent now is sent later."""
        while True:
            await asyncio.sleep(self._look_s)
            try:
                await self.look()
            except (StoreUnavailable, PublishFailed) as error:
                log.warning("sessions are not closed: %s", error)

    async def look(self) -> None:
        """Close and send all that is due now.

        Raises:
            StoreUnavailable, PublishFailed: not all; the rest is due again after a while.
        """
        for partition, read in (await self._reading.partitions()).items():
            while await self._some(partition, silent=read) == PERSONS_AT_ONCE:
                pass

    async def _some(self, partition: int, *, silent: bool) -> int:
        """Close and send what is due of some persons; how many."""
        claim = await self._store.claim(partition, silent=silent)
        if claim.user_ids:
            closed = await self._store.close(claim, silent=silent)
            await asyncio.gather(*map(self._send, closed))
            await self._store.settle(claim, closed)
        return len(claim.user_ids)

    async def _send(self, closed: Closed) -> None:
        if closed.session is not None:
            await self._producer.send(self._topic, closed.user_id.encode(), encode(closed.session))
            SESSIONS.inc()
