"""Faust's Kafka transport without its cost per record.

Faust 0.15.3 delivers each record in four tasks and its stream takes one record a turn of the event loop: some 70 us of
a core a record. Here what was fetched is put into the agents' buffers in runs, and an agent takes all that is there at
once. What follows from a record (positions, gaps, rebalances, pauses, commits) stays Faust's own, but for a commit that
Kafka refuses.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from faust.transport.drivers import aiokafka
from faust.types import TP

# How often it is looked whether to go on while partitions are paused.
WHILE_PAUSED_S = 0.05
# Records of a partition before it is another's turn: a millisecond.
RUN = 128

Records = Mapping[TP, Sequence[Any]]


class QuickConsumer(aiokafka.Consumer):  # type: ignore[misc]
    """Delivers in runs, and fetches again as soon as there is room."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._n_acked = 0
        self._room = asyncio.Event()
        self._still_committed: dict[Any, int | None] = {}
        # Buffers know by its identity whom they have to tell of room already.
        self._tell_of_room: dict[Any, Callable[[], None]] = {}

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

    def on_buffer_drop(self, tp: Any) -> None:
        """An agent has made room for a paused partition."""
        super().on_buffer_drop(tp)
        self._room.set()

    async def _wait_next_records(self, timeout: float) -> Any:
        """What Faust has to deliver itself, once all else that was fetched is delivered."""
        # Faust would sleep for a second while all partitions are paused, and fetch for a second while some are: at
        # 20,000 records/s the buffer is empty long before.
        if self.flow_active and self._buffered_partitions:
            if not self._get_active_partitions():
                await self._wait_for_room()
            timeout = WHILE_PAUSED_S
        records, active = await super()._wait_next_records(timeout)
        return records and await self._deliver({TP(*tp): some for tp, some in records.items()}), active

    async def _deliver(self, records: Records) -> Records:
        """Deliver what was fetched, a run of each partition in turn, as there is room.

        Of a topic that several agents read, or none, nothing is delivered, but given back. What a rebalance interrupts
        comes again, to whoever has its partition then.
        """
        readers = {tp: self.app.topics._tp_index.get(tp, ()) for tp in records}
        left = {tp: some for tp, some in records.items() if len(readers[tp]) != 1}
        buffers = {tp: reader.queue for tp, (reader,) in readers.items() if tp not in left}
        generation_id, full = self.app.consumer_generation_id, 0
        waiting = deque((tp, 0) for tp in buffers)
        while waiting and self._flows(generation_id):
            tp, begin = waiting.popleft()
            end = self._deliver_run(tp, records[tp], begin, buffers[tp])
            if end < len(records[tp]):
                waiting.append((tp, end))
                await self._pass_gap(tp, records[tp][end].offset)
            full = full + 1 if end == begin and buffers[tp].full() else 0
            if waiting:
                await (self._wait_for_room() if full >= len(waiting) else asyncio.sleep(0))
            if self._commit_every and self._n_acked >= self._commit_every:
                self._n_acked = 0
                await self.commit()
        return left if self._flows(generation_id) else {}

    def _deliver_run(self, tp: Any, records: Sequence[Any], begin: int, buffer: Any) -> int:
        """Put a run of a partition's records into its agent's buffer, up to a gap or its end; how far it came."""
        app, event_type, to_message = self.app, self.app.conf.Event, self._to_message
        tell_full = partial(self._on_full, tp)
        tell_of_room = self._tell_of_room.setdefault(tp, partial(self.on_buffer_drop, tp))
        # The last that was delivered or, after a seek, the next; nothing before the first.
        known, end = self._read_offset[tp], begin
        for record in records[begin : begin + RUN]:
            if buffer.full() or (known and record.offset > known + 1):
                break
            end += 1
            if known and record.offset < known:
                continue
            message = to_message(tp, record)
            message.refcount = 1
            event = event_type(app, record.key, record.value, record.headers, message)
            buffer.put_nowait_enhanced(event, on_pressure_high=tell_full, on_pressure_drop=tell_of_room)
            known = record.offset
        self._read_offset[tp] = known
        app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        return end

    async def _pass_gap(self, tp: Any, offset: int) -> None:
        """Note the offsets without a record before this one, if there are any."""
        known = self._read_offset[tp]
        if known and offset > known + 1:
            self._read_offset[tp] = offset - 1
            await self._add_gap(tp, known + 1, offset)

    def _flows(self, generation_id: int) -> bool:
        """Whether what was fetched in this generation may be delivered."""
        flows = self.flow_active and self.app.flow_control.is_active() and not self.should_stop
        return bool(flows and self.app.consumer_generation_id == generation_id)

    def _on_full(self, tp: Any) -> None:
        self.app.sensors.on_topic_buffer_full(tp)
        self.on_buffer_full(tp)

    async def _wait_for_room(self) -> None:
        self._room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(WHILE_PAUSED_S):
                await self._room.wait()


class QuickTransport(aiokafka.Transport):  # type: ignore[misc]
    """Faust's transport with the consumer above."""

    Consumer = QuickConsumer


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
