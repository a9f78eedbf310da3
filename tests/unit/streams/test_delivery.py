from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from recall.errors import IndexUnavailable
from streams.delivery import BatchDelivery, ConcurrentDelivery, DeadLetters, Edge, Received, Refusal, batches, retried
from streams.errors import DeliveryStuck, StoreUnavailable
from streams.observing.metrics import REGISTRY, tally_of
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


class Unread:
    """Events in order; `None` waits for the loop to do something else, and an exception is raised."""

    def __init__(self, events: Sequence[Any]) -> None:
        self._left = list(events)

    async def wait(self, at_most: int) -> list[Any]:
        if self._left and self._left[0] is None:
            self._left.pop(0)
            for _ in range(20):
                await asyncio.sleep(0)
        if self._left and isinstance(self._left[0], Exception):
            raise self._left.pop(0)
        return self.take(at_most)

    def take(self, at_most: int) -> list[Any]:
        taken = []
        while self._left and len(taken) < at_most and not isinstance(self._left[0], Exception | None):
            taken.append(self._left.pop(0))
        return taken


def events(count: int, acks: list[int]) -> list[Event]:
    return [Event(Message(b'{"artist_id": "a"}', offset=n), acks) for n in range(count)]


async def test_batches_hold_all_events_in_order_and_no_more_than_asked() -> None:
    found = [batch async for batch in batches(Unread(range(25)), 10, 1.0)]
    assert [one for batch in found for one in batch] == list(range(25))
    assert max(map(len, found)) <= 10


async def test_lone_event_is_a_batch_of_one_and_waits_for_no_others() -> None:
    class Lasting(Unread):
        async def wait(self, at_most: int) -> list[Any]:
            if not self._left:
                await asyncio.Event().wait()
            return self.take(at_most)

    async with asyncio.timeout(60):
        async for batch in batches(Lasting([7]), 100, 600.0):
            assert batch == [7]
            break


async def test_events_that_come_within_the_lull_share_a_batch() -> None:
    class Trickling(Unread):
        """Gives one event, and the next a while after it."""

        async def wait(self, at_most: int) -> list[Any]:
            asyncio.get_running_loop().call_later(0.02, self._left.append, 2)
            return [1]

    for lull_s, expected in ((0.0, [1]), (0.1, [1, 2])):
        async for batch in batches(Trickling([]), 2, 5.0, lull_s):
            assert batch == expected
            break


async def test_batch_is_closed_when_its_window_ends_though_more_keep_coming() -> None:
    class Endless(Unread):
        async def wait(self, at_most: int) -> list[Any]:
            return [0]

        def take(self, at_most: int) -> list[Any]:
            return [0]

    async with asyncio.timeout(60):
        async for batch in batches(Endless([]), 10**9, 0.02):
            assert len(batch) < 10**6
            break


async def test_failure_of_the_reading_is_raised_after_what_came_before_it() -> None:
    found = []
    with pytest.raises(RuntimeError, match="lost"):
        async for batch in batches(Unread([1, RuntimeError("lost")]), 10, 0.0):
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

    await delivery(apply, kept).run(Unread(good))
    assert applied == [0, 2, 3]
    assert acks == [0, 1, 2, 3]
    assert [(topic, headers["dead_reason"]) for topic, _, headers in kept.letters] == [
        ("acme.catalog.artists.dead", b"undecodable"),
        ("acme.catalog.artists.dead", b"odd"),
    ]


async def test_records_are_counted_by_what_became_of_them() -> None:
    left: list[Exception] = [StoreUnavailable("away")]
    trying: list[bool] = []

    async def apply(batch: Sequence[Received[Artist]]) -> Sequence[Refusal]:
        trying.append(tally_of("catalog.artists").retrying)
        if left:
            raise left.pop()
        return [Refusal(0, RecordRefused("odd", "not this"))]

    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"throughbeat_{name}", {"topic": "catalog.artists", **labels}) or 0.0

    def counts() -> list[float]:
        return [
            counted("records_total", outcome="applied"),
            counted("records_total", outcome="set_aside"),
            counted("dead_letters_total", reason="odd"),
            counted("dead_letters_total", reason="undecodable"),
            counted("retries_total"),
            counted("batch_seconds_count"),
        ]

    before = counts()
    some = events(5, [])
    some[4].message.value = b"{"
    await delivery(apply, Kept()).run(Unread(some))
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [3, 2, 1, 1, 1, 1]
    assert trying == [False, True]
    assert not tally_of("catalog.artists").retrying


async def test_nothing_is_acknowledged_of_a_batch_that_raises() -> None:
    acks: list[int] = []

    async def apply(batch: Sequence[Received[Artist]]) -> Sequence[Refusal]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await delivery(apply, Kept()).run(Unread(events(3, acks)))
    assert acks == []


async def test_who_waits_for_offsets_is_told_of_those_set_aside() -> None:
    told: list[tuple[int, int]] = []
    bad = events(3, [])
    for one in bad:
        one.message.value = b"["

    async def passed_over(partition: int, offset: int) -> None:
        told.append((partition, offset))

    await delivery(None, Kept(), passed_over=passed_over).run(Unread(bad))
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

    running = asyncio.create_task(ConcurrentDelivery(handle, shed, 8).run(Unread(given)))
    for at in (2, 1):
        gates[at].set()
        while at not in order:
            await asyncio.sleep(0)
    assert acks == []
    gates[0].set()
    await running
    assert (order, acks) == ([2, 1, 0], [0, 1, 2])


async def test_what_comes_beyond_the_bound_is_shed_and_still_acknowledged_in_order() -> None:
    acks: list[int] = []
    free = asyncio.Event()
    handled: list[int] = []
    turned_away: list[int] = []

    async def handle(event: Event) -> None:
        await free.wait()
        handled.append(event.message.offset)

    async def shed(event: Event) -> None:
        turned_away.append(event.message.offset)

    given = [*events(5, acks), None]
    running = asyncio.create_task(ConcurrentDelivery(handle, shed, 3).run(Unread(given)))
    while len(turned_away) < 2:
        await asyncio.sleep(0)
    assert acks == []
    free.set()
    await running
    assert (sorted(handled), sorted(turned_away)) == ([0, 1, 2], [3, 4])
    assert acks == [0, 1, 2, 3, 4]


async def test_work_that_has_begun_gets_on_before_all_that_waits_has_begun() -> None:
    begun: list[int] = []
    meanwhile: list[int] = []

    async def handle(event: Event) -> None:
        begun.append(event.message.offset)
        await asyncio.sleep(0)
        meanwhile.append(len(begun) - event.message.offset)

    await ConcurrentDelivery(handle, handle, 1_000).run(Unread(events(300, [])))
    assert len(meanwhile) == 300
    assert max(meanwhile) < 50


async def test_handler_that_raises_ends_the_delivery_without_its_acknowledgement() -> None:
    acks: list[int] = []

    async def handle(event: Event) -> None:
        if event.message.offset == 1:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await ConcurrentDelivery(handle, handle, 8).run(Unread(events(3, acks)))
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
