"""How a record is read, retried, set aside and acknowledged: stated once, used by every agent.

A record is acknowledged only after its effect is durable. What can never be applied goes to `<topic>.dead`, byte for
byte, and is acknowledged only after the broker holds it there. While a store is away the batch is retried in place;
anything else raises, which ends the worker: started anew, it resumes at the first record without an acknowledgement.
So records come at least once, in the order of their partition, and every effect must be idempotent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from recall.errors import IndexUnavailable
from streams.errors import DeliveryStuck, StoreUnavailable
from streams.observing.logs import ids_in
from streams.observing.metrics import Tally, tally_of
from topics.codec import decode, require_headers, require_id, require_key
from topics.errors import RecordRefused
from topics.records import Record
from topics.specs import MAX_DEAD_LETTER_BYTES, TopicSpec, dead_letters_of, full_name

R = TypeVar("R", bound=Record)
T = TypeVar("T")
log = logging.getLogger(__name__)

TRANSIENT = (StoreUnavailable, IndexUnavailable)
FIRST_RETRY_S, LONGEST_RETRY_S = 0.05, 2.0
# With our own headers and Kafka's framing it fits into a topic of dead letters.
LARGEST_KEPT = MAX_DEAD_LETTER_BYTES - 100_000
CUT_KEY, CUT_VALUE = 65_536, 1 << 20
# No record for so long, and a batch is applied as it is.
LULL_S = 0.001
# Requests taken before those taken earlier get on with their work: each of these has to be read and perhaps refused
# first, and an answer comes back to the event loop some ten times.
TAKEN_AT_ONCE = 16
Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Received(Generic[R]):
    """One record with where it came from. `record` is `None` for a withdrawal (a null value)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: Headers
    record: R | None

    @property
    def key_text(self) -> str:
        """The key as the id that it is."""
        return (self.key or b"").decode()


@dataclass(frozen=True)
class Refusal:
    """A record that passed the edge and still cannot be applied: where it is in the batch, and why."""

    index: int
    refused: RecordRefused


ApplyBatch = Callable[[Sequence[Received[R]]], Awaitable[Sequence[Refusal]]]
Produce = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Edge(Generic[R]):
    """What a topic lets in.

    Attributes:
        spec: the topic.
        key_of: the id that must be the key; `None` lets any key in.
        allow_null: whether a null value means a withdrawal.
    """

    spec: TopicSpec
    record_type: type[R]
    key_of: Callable[[R], str] | None
    allow_null: bool = False

    def admit(self, event: Any) -> Received[R]:
        """The event as a record.

        Raises:
            RecordRefused: it can never be applied.
        """
        message = event.message
        require_headers(message.headers or ())
        record = None if message.value is None and self.allow_null else decode(message.value, self.record_type)
        if record is None:
            require_id(message.key)
        elif self.key_of is not None:
            require_key(message.key, self.key_of(record))
        return Received(
            message.topic,
            message.partition,
            message.offset,
            int(message.timestamp * 1000),
            message.key,
            message.headers or (),
            record,
        )


class DeadLetters:
    """Where the records of one topic go that can never be applied."""

    def __init__(self, produce: Produce, spec: TopicSpec, prefix: str) -> None:
        """`produce(topic, key, value, partition, headers)` returns once the broker has acknowledged."""
        self._produce = produce
        self._topic = full_name(dead_letters_of(spec), prefix)
        self._tally = tally_of(spec.name)

    async def set_aside(self, message: Any, refused: RecordRefused) -> None:
        """Keep the record as it came, with the reason; returns once the broker holds it."""
        kept = Kept.of(message)
        headers = [
            *kept.headers,
            ("dead_reason", refused.reason.encode()),
            ("dead_message", str(refused)[:2000].encode(errors="replace")),
            ("dead_topic", message.topic.encode()),
            ("dead_partition", str(message.partition).encode()),
            ("dead_offset", str(message.offset).encode()),
            ("dead_at_ms", str(int(time.time() * 1000)).encode()),
        ]
        where = {"topic": message.topic, "partition": message.partition, "offset": message.offset}
        told = {**where, "reason": refused.reason, **ids_in(message.value)}
        log.warning("set aside %s[%s]@%s: %s", *where.values(), refused.reason, extra=told)
        await self._produce(self._topic, kept.key, kept.value, None, [*headers, *kept.cut])
        self._tally.set_aside(refused.reason)


class SetAsideElsewhere(DeadLetters):
    """For a second reader of a topic: what it cannot apply, the first has set aside."""

    def __init__(self) -> None:
        """Writes nowhere."""

    async def set_aside(self, message: Any, refused: RecordRefused) -> None:
        """Pass over the record."""


class Kept(NamedTuple):
    """What is set aside of a record: all of it, unless it came compressed and is too large for a dead letter."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    cut: Headers = ()

    @classmethod
    def of(cls, message: Any) -> Kept:
        """The whole, or the beginnings of key and value and a header that says how many bytes there were."""
        key, value, headers = message.key, message.value, message.headers or ()
        size = len(key or b"") + len(value or b"") + sum(len(name) * 4 + len(one or b"") for name, one in headers)
        if size <= LARGEST_KEPT:
            return cls(key, value, headers)
        return cls(key and key[:CUT_KEY], value and value[:CUT_VALUE], (), (("dead_cut_from", str(size).encode()),))


class Unread(Protocol):
    """The events of a topic that nobody has taken yet."""

    async def wait(self, at_most: int) -> list[Any]:
        """What there is, in order, once there is any; nothing at the end."""

    def take(self, at_most: int) -> list[Any]:
        """What there is now, perhaps nothing."""


async def batches(unread: Unread, batch_max: int, window_s: float, lull_s: float = LULL_S) -> AsyncIterator[list[Any]]:
    """What is there, up to `batch_max` events at once, collected for `window_s` at most and while more keep coming.

    A lone record waits for one `lull_s`.
    """
    loop = asyncio.get_running_loop()
    while batch := await unread.wait(batch_max):
        deadline_s = loop.time() + window_s
        while len(batch) < batch_max and loop.time() < deadline_s:
            await asyncio.sleep(lull_s)
            if not (more := unread.take(batch_max - len(batch))):
                break
            batch += more
        yield batch


@dataclass(frozen=True)
class BatchDelivery(Generic[R]):
    """Applies a topic's records batch by batch, in order.

    Attributes:
        batch_max: records applied at once.
        window_s: how long records are collected while more keep coming.
        lull_s: no record for so long, and what there is is applied.
        retry_s: how long a store may be away.
        passed_over: told partition and offset of records that were set aside, once all before them have taken effect.
    """

    edge: Edge[R]
    apply: ApplyBatch[R]
    dead_letters: DeadLetters
    batch_max: int
    window_s: float
    retry_s: float
    lull_s: float = LULL_S
    passed_over: Callable[[int, int], Awaitable[None]] | None = None

    @property
    def tally(self) -> Tally:
        """Where the topic's records are counted."""
        return tally_of(self.edge.spec.name)

    async def run(self, unread: Unread) -> None:
        """Deliver until there is no more. Raises whatever is neither permanent nor passing."""
        async for events in batches(unread, self.batch_max, self.window_s, self.lull_s):
            with self.tally.batch.time(), self.tally.patience():
                await self.deliver(events)
            for event in events:
                event.ack()

    async def deliver(self, events: Sequence[Any]) -> None:
        """Apply what can be applied, set aside the rest; returns once all of it is durable."""
        admitted: list[tuple[Any, Received[R]]] = []
        dead: list[Any] = []
        for event in events:
            try:
                admitted.append((event.message, self.edge.admit(event)))
            except RecordRefused as refused:
                await self.dead_letters.set_aside(event.message, refused)
                dead.append(event.message)
        received = [one for _, one in admitted]
        refusals = await self._retried(lambda: self.apply(received)) if received else ()
        self.tally.applied(len(received) - len(refusals))
        for refusal in refusals:
            message = admitted[refusal.index][0]
            await self.dead_letters.set_aside(message, refusal.refused)
            dead.append(message)
        await self._pass_over(dead)

    async def _pass_over(self, dead: Sequence[Any]) -> None:
        if self.passed_over is None:
            return
        tell = self.passed_over
        last = {message.partition: message.offset for message in sorted(dead, key=lambda message: message.offset)}
        for partition, offset in last.items():
            await self._retried(partial(tell, partition, offset))

    async def _retried(self, step: Callable[[], Awaitable[T]]) -> T:
        return await retried(step, self.retry_s, self.tally.tried_again)


async def retried(step: Callable[[], Awaitable[T]], within_s: float, on_retry: Callable[[], None] = lambda: None) -> T:
    """The step's value, trying again while a store is away; `on_retry` is called before each wait.

    Raises:
        DeliveryStuck: it still is after `within_s` seconds.
    """
    deadline = time.monotonic() + within_s
    pause_s = FIRST_RETRY_S
    while True:
        try:
            return await step()
        except TRANSIENT as error:
            if time.monotonic() + pause_s > deadline:
                raise DeliveryStuck(f"gave up after {within_s:g} s: {error}") from error
            log.warning("trying again in %.2f s: %s", pause_s, error)
            on_retry()
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_RETRY_S)


@dataclass
class Waiting:
    """An event that has come, and whether it is done with."""

    event: Any
    done: bool = False


@dataclass
class ConcurrentDelivery:
    """Handles events at once and acknowledges them in the order they came.

    A partition's committed offset covers all before it, so an event is acknowledged only after those before it. What
    comes while `most` are being handled is given to `shed`, so that memory stays bounded.
    """

    handle: Callable[[Any], Awaitable[None]]
    shed: Callable[[Any], Awaitable[None]]
    most: int

    async def run(self, unread: Unread) -> None:
        """Deliver until there is no more. Raises what `handle` raises."""
        arrived: deque[Waiting] = deque()
        working = 0

        async def work(one: Waiting, step: Callable[[Any], Awaitable[None]]) -> None:
            nonlocal working
            await step(one.event)
            working -= 1
            one.done = True
            while arrived and arrived[0].done:
                arrived.popleft().event.ack()

        async with asyncio.TaskGroup() as tasks:
            while events := await unread.wait(TAKEN_AT_ONCE):
                for event in events:
                    one = Waiting(event)
                    arrived.append(one)
                    step = self.handle if working < self.most else self.shed
                    working += 1
                    tasks.create_task(work(one, step))
                await asyncio.sleep(0)
