"""Faust's Kafka transport without its cost per record.

Faust 0.15.3 delivers each record in four tasks and its stream takes one record a turn of the event loop: some 70 us of
a core a record. Here a record that finds room is delivered without a task, and an agent takes all that is there at
once: some 20 us. What follows from a record (positions, gaps, rebalances, pauses, commits) stays Faust's own, but for
a commit that Kafka refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Mapping
from inspect import iscoroutine
from time import monotonic
from types import coroutine
from typing import Any

from faust.transport.drivers import aiokafka
from mode.services import WaitResults

# How often the partitions that have data are asked while others are paused: a pause may end meanwhile.
WHILE_PAUSED_S = 0.05


class QuickConsumer(aiokafka.Consumer):  # type: ignore[misc]
    """Delivers what finds room at once, and fetches again as soon as there is room."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._room = asyncio.Event()
        self._still_committed: dict[Any, int | None] = {}

    async def wait_first(self, *waits: Any, timeout: Any = None) -> WaitResults:
        """As in Faust, but a first coroutine that need not wait costs no task.

        `_drain_messages` calls it for each record, with the delivery and the signal that suspends it: the delivery
        waits only while its agent's buffer is full or a rebalance goes on.
        """
        if len(waits) == 2 and iscoroutine(waits[0]) and not self._interrupted():
            step, other = waits
            try:
                waits_for = step.send(None)
            except StopIteration as done:
                other.close()
                return WaitResults([step], [done.value], False)
            except BaseException:
                other.close()
                raise
            waits = (_rest_of(step, waits_for), other)
        return await super().wait_first(*waits, timeout=timeout)

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        done = bool(await super()._commit(offsets))
        self._still_committed = {} if done else {tp: self._committed_offset[tp] for tp in offsets}
        return done

    async def _commit_offsets(self, offsets: Mapping[Any, int], start_new_transaction: bool = True) -> bool:
        """Commit, and know the truth when Kafka refuses.

        Faust 0.15.3 takes the offsets for committed then too, which a rebalance overwrites only where something was
        committed before: what comes again would be acknowledged in vain.
        """
        done = bool(await super()._commit_offsets(offsets, start_new_transaction))
        # Nothing was awaited since the refusal.
        self._committed_offset.update(self._still_committed)
        self._still_committed = {}
        return done

    def _interrupted(self) -> bool:
        return bool(self.suspend_flow.is_set() or self._stopped.is_set() or self._crashed.is_set())

    def on_buffer_drop(self, tp: Any) -> None:
        """An agent has made room for a paused partition."""
        super().on_buffer_drop(tp)
        self._room.set()

    async def _wait_next_records(self, timeout: float) -> Any:
        # Faust would sleep for a second while all partitions are paused, and fetch for a second while some are: at
        # 20,000 records/s the buffer is empty long before.
        if self.flow_active and self._buffered_partitions:
            if not self._get_active_partitions():
                self._room.clear()
                await self.wait(self._room, timeout=timeout)
            timeout = WHILE_PAUSED_S
        return await super()._wait_next_records(timeout)


class QuickTransport(aiokafka.Transport):  # type: ignore[misc]
    """Faust's transport with the consumer above."""

    Consumer = QuickConsumer


async def _rest_of(step: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    return await _resumed(step, waits_for)


@coroutine
def _resumed(step: Any, waits_for: Any) -> Generator[Any, Any, Any]:
    # The first step was taken outside of a task: its future is handed to the task that takes the others.
    yield waits_for
    return (yield from step)


class Arrivals:
    """An agent's unread events, taken straight from the buffer that the consumer fills, for acknowledging by hand.

    What was fetched before a rebalance is left alone, and comes again to whoever has its partition then. (Faust's own
    stream acknowledges it unread.)
    """

    def __init__(self, stream: Any) -> None:
        """`stream` is what Faust hands to an agent; it must not be iterated as well."""
        self._app = stream.app
        self._buffer = stream.channel.queue

    async def wait(self, at_most: int) -> list[Any]:
        """What is unread, in order, once there is any; nothing when the app stops."""
        while not (events := self.take(at_most)):
            try:
                event = await self._buffer.get()
            except StopAsyncIteration:
                return []
            if self._begin([event]):
                return [event, *self.take(at_most - 1)]
        return events

    def take(self, at_most: int) -> list[Any]:
        """What is unread now, perhaps nothing."""
        buffer = self._buffer
        # The buffer ends its partitions' pauses as it is emptied, so each event leaves by its front door.
        return self._begin([buffer.get_nowait() for _ in range(min(at_most, buffer.qsize()))])

    def _begin(self, events: list[Any]) -> list[Any]:
        """Those that are still this worker's, noted as begun; the others come again, to whoever has their partition."""
        app = self._app
        if not app.flow_control.is_active():
            return []
        current = [event for event in events if event.message.generation_id == app.consumer_generation_id]
        for event in current:
            event.message.tracked = True
            app.consumer.track_message(event.message)
        # Faust's watchdog takes a partition that has no time here for stuck, and says so.
        now_s = monotonic()
        app.monitor.stream_inbound_time.update({event.message.tp: now_s for event in current})
        return current
