from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from recall.errors import IndexUnavailable
from streams.delivery import BatchDelivery, ConcurrentDelivery, DeadLetters, Edge, Received, Refusal, batches, retried
from streams.errors import DeliveryStuck, StoreUnavailable
from topics.errors import RecordRefused
from topics.records import Artist
from topics.specs import CATALOG_ARTISTS, dead_letters_of


@dataclass
class Message:
    value: bytes | None
    key: bytes | None = b"a"
    offset: int = 0
    partition: int = 0
    topic: str = "catalog.artists"
    timestamp: float = 1.5
    headers: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass
class Event:
    message: Message
    acks: list[int]

    def ack(self) -> None:
        self.acks.append(self.message.offset)


class Stream:
    """Events in order; `None` waits for the loop to do something else."""

    def __init__(self, events: Sequence[Any]) -> None:
        self._events = events

    def noack(self) -> Stream:
        return self

    async def events(self) -> AsyncIterator[Any]:
        for event in self._events:
            if event is None:
                for _ in range(20):
                    await asyncio.sleep(0)
            else:
                yield event


def events(count: int, acks: list[int]) -> list[Event]:
    return [Event(Message(b'{"artist_id": "a"}', offset=n), acks) for n in range(count)]


async def test_batches_hold_all_events_in_order_and_no_more_than_asked() -> None:
    found = [batch async for batch in batches(Stream(range(25)), 10, 1.0)]
    assert [one for batch in found for one in batch] == list(range(25))
    assert max(map(len, found)) <= 10


async def test_lone_event_is_a_batch_of_one() -> None:
    class Lasting(Stream):
        async def events(self) -> AsyncIterator[Any]:
            yield 7
            await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async for batch in batches(Lasting([]), 100, 10.0):
            assert batch == [7]
            break


async def test_failure_of_the_stream_is_raised_after_what_came_before_it() -> None:
    class Broken(Stream):
        async def events(self) -> AsyncIterator[Any]:
            yield 1
            raise RuntimeError("lost")

    found = []
    with pytest.raises(RuntimeError, match="lost"):
        async for batch in batches(Broken([]), 10, 0.0):
            found += batch
    assert found == [1]


class Kept:
    def __init__(self) -> None:
        self.letters: list[tuple[str, bytes | None, dict[str, bytes]]] = []

    async def produce(self, topic: str, key: Any, value: bytes | None, partition: Any, headers: Any) -> None:
        self.letters.append((topic, value, dict(headers)))


def delivery(apply: Any, kept: Kept, **more: Any) -> BatchDelivery[Artist]:
    edge = Edge(CATALOG_ARTISTS, Artist, lambda artist: artist.artist_id, allow_null=True)
    return BatchDelivery(edge, apply, DeadLetters(kept.produce, CATALOG_ARTISTS, "acme"), 10, 0.0, 1.0, **more)


async def test_batch_without_its_bad_records_is_applied_and_all_are_acknowledged() -> None:
    acks: list[int] = []
    applied: list[int] = []
    good = events(4, acks)
    good[1].message.value = b"{"
    good[2].message.value = None
    kept = Kept()

    async def apply(batch: Sequence[Received[Artist]]) -> Sequence[Refusal]:
        applied.extend(one.offset for one in batch)
        assert [one.record is None for one in batch] == [False, True, False]
        assert batch[0].timestamp_ms == 1500
        return [Refusal(2, RecordRefused("odd", "not this"))]

    await delivery(apply, kept).run(Stream(good))
    assert applied == [0, 2, 3]
    assert acks == [0, 1, 2, 3]
    assert [(topic, headers["dead_reason"]) for topic, _, headers in kept.letters] == [
        ("acme.catalog.artists.dead", b"undecodable"),
        ("acme.catalog.artists.dead", b"odd"),
    ]


async def test_nothing_is_acknowledged_of_a_batch_that_raises() -> None:
    acks: list[int] = []

    async def apply(batch: Sequence[Received[Artist]]) -> Sequence[Refusal]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await delivery(apply, Kept()).run(Stream(events(3, acks)))
    assert acks == []


async def test_who_waits_for_offsets_is_told_of_those_set_aside() -> None:
    told: list[tuple[int, int]] = []
    bad = events(3, [])
    for one in bad:
        one.message.value = b"["

    async def passed_over(partition: int, offset: int) -> None:
        told.append((partition, offset))

    await delivery(None, Kept(), passed_over=passed_over).run(Stream(bad))
    assert told[-1] == (0, 2)


@pytest.mark.parametrize("error", [StoreUnavailable("away"), IndexUnavailable("away")])
async def test_step_is_tried_again_while_a_store_is_away(error: Exception) -> None:
    left = [error, error]

    async def step() -> int:
        if left:
            raise left.pop()
        return 42

    assert await retried(step, 5.0) == 42


async def test_store_that_stays_away_ends_the_worker() -> None:
    async def step() -> int:
        raise StoreUnavailable("still away")

    with pytest.raises(DeliveryStuck, match="still away"):
        await retried(step, 0.01)


async def test_events_are_acknowledged_in_their_order_though_done_in_another() -> None:
    acks: list[int] = []
    gates = [asyncio.Event() for _ in range(3)]
    given = events(3, acks)
    order: list[int] = []

    async def handle(event: Event) -> None:
        await gates[event.message.offset].wait()
        order.append(event.message.offset)

    async def shed(event: Event) -> None:
        raise AssertionError("nothing to shed")

    running = asyncio.create_task(ConcurrentDelivery(handle, shed, 8, 8).run(Stream(given)))
    for at in (2, 1):
        gates[at].set()
        while at not in order:
            await asyncio.sleep(0)
    assert acks == []
    gates[0].set()
    await running
    assert (order, acks) == ([2, 1, 0], [0, 1, 2])


async def test_overload_turns_the_oldest_waiting_away_and_keeps_to_the_bound() -> None:
    acks: list[int] = []
    free = asyncio.Event()
    handled: list[int] = []
    turned_away: list[int] = []
    most = 0
    inside = 0

    async def handle(event: Event) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await free.wait()
        inside -= 1
        handled.append(event.message.offset)

    async def shed(event: Event) -> None:
        turned_away.append(event.message.offset)

    running = asyncio.create_task(ConcurrentDelivery(handle, shed, 2, 3).run(Stream(events(10, acks))))
    while len(turned_away) < 5:
        await asyncio.sleep(0)
    free.set()
    await running
    assert turned_away == [2, 3, 4, 5, 6]
    assert sorted(handled) == [0, 1, 7, 8, 9]
    assert most == 2
    assert acks == list(range(10))


async def test_handler_that_raises_ends_the_delivery_without_its_acknowledgement() -> None:
    acks: list[int] = []

    async def handle(event: Event) -> None:
        if event.message.offset == 1:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await ConcurrentDelivery(handle, handle, 1, 8).run(Stream(events(3, acks)))
    assert 1 not in acks
    assert 2 not in acks


async def set_aside(message: Message) -> tuple[bytes | None, bytes | None, dict[str, bytes]]:
    """What a dead letter holds of a message."""
    sent: list[Any] = []

    async def produce(*record: Any) -> None:
        sent.append(record)

    await DeadLetters(produce, CATALOG_ARTISTS, "").set_aside(message, RecordRefused("too_large", "x" * 5_000))
    ((topic, key, value, partition, headers),) = sent
    assert (topic, partition) == ("catalog.artists.dead", None)
    return key, value, dict(headers)


@pytest.mark.parametrize("key", [b"k" * 900_000, None])
async def test_record_that_fits_into_a_dead_letter_is_kept_whole_and_a_larger_one_by_its_beginning(
    key: bytes | None,
) -> None:
    most = 1_900_000 - len(key or b"") - len("trace") * 4 - 3
    whole = await set_aside(Message(b"v" * most, key, headers=[("trace", b"abc")]))
    assert (whole[0], whole[1], whole[2]["trace"]) == (key, b"v" * most, b"abc")
    assert "dead_cut_from" not in whole[2]
    cut = await set_aside(Message(b"v" * (most + 1), key, headers=[("trace", b"abc")]))
    assert cut[0] == (key and b"k" * 65_536)
    assert cut[1] == b"v" * min(most + 1, 1_048_576)
    assert (cut[2]["dead_cut_from"], "trace" in cut[2]) == (b"1900001", False)


async def test_largest_dead_letter_fits_into_its_topic_with_its_reason() -> None:
    key, value, headers = await set_aside(Message(b"v" * 1_900_000, None))
    size = len(key or b"") + len(value or b"") + sum(len(name) + len(one) + 20 for name, one in headers.items())
    assert size + 200 < dead_letters_of(CATALOG_ARTISTS).max_message_bytes
