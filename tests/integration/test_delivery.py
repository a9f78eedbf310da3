"""What is promised of delivery, on a real broker and a worker that is a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, MemberToRemove, NewTopic

from streams.app import STREAM_BUFFER
from streams.embedded.stack import RunningStack
from streams.lag import committed_offsets
from streams.settings import variable
from tests.integration.forked import ForkedProcess
from topics.specs import ALL, CATALOG_ARTISTS, LISTENING_EVENTS, dead_letters_of, full_name


def eventually(true: Callable[[], bool], within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def event(event_id: str, track_id: str = "t", user_id: str = "u") -> bytes:
    told = {"event_id": event_id, "user_id": user_id, "track_id": track_id, "kind": "play", "occurred_at_ms": 1}
    return json.dumps(told).encode()


class Installation:
    def __init__(self, stack: RunningStack, prefix: str, output: Path) -> None:
        self.bootstrap, self.prefix, self.output = stack.kafka_bootstrap, prefix, output
        self.topic = full_name(LISTENING_EVENTS, prefix)
        self.group = f"{prefix}.throughbeat.listening"
        specs = [NewTopic(full_name(s, prefix), s.partitions, 1, topic_configs=s.config) for s in ALL]
        with self._admin() as admin:
            admin.create_topics(specs)
        self.producer = KafkaProducer(bootstrap_servers=self.bootstrap, max_request_size=2_000_000)

    def send(
        self, value: bytes | None, key: bytes | None = b"u", headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        self.producer.send(self.topic, value, key, headers or [], partition=0).get(10)

    def play(self, event_id: str, track_id: str = "t", user_id: str = "u") -> None:
        self.send(event(event_id, track_id, user_id))

    def applied(self) -> list[str]:
        return self.output.read_text().split() if self.output.exists() else []

    def dead(self, count: int) -> list[object]:
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, consumer_timeout_ms=15_000)
        consumer.assign([TopicPartition(full_name(dead_letters_of(LISTENING_EVENTS), self.prefix), 0)])
        consumer.seek_to_beginning()
        letters = [letter for letter, _ in zip(consumer, range(count), strict=False)]
        consumer.close()
        return letters

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield admin
        finally:
            admin.close()

    def committed(self) -> int | None:
        """Of the first partition; `None` before there is any."""
        with self._admin() as admin:
            return committed_offsets(admin, self.group).get((self.topic, 0))

    def members(self) -> list[str]:
        """Of the worker's group, as Kafka knows it."""
        with self._admin() as admin:
            return [member["member_id"] for member in admin.describe_groups([self.group])[self.group]["members"]]

    def expel(self) -> None:
        """Every member, as Kafka does with those it has not heard of for the session's time-out."""
        members = [MemberToRemove(member_id=member) for member in self.members()]
        with self._admin() as admin:
            admin.remove_group_members(self.group, members)

    @property
    def log(self) -> str:
        return self.output.with_suffix(".log").read_text()

    @contextmanager
    def worker(self, poison: str = "", also: str = "", **settings: object) -> Iterator[ForkedProcess]:
        arguments = [self.bootstrap, self.prefix, str(self.output), poison, also]
        environment = {**os.environ, **{variable(name): str(value) for name, value in settings.items()}}
        log = self.output.with_suffix(".log")
        process = ForkedProcess("tests.integration.agent_process", arguments, environment, log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(90)


async def send_nothing(here: Installation) -> None:
    """A record with neither key nor value: clients' `send` refuse it, the broker does not."""
    producer = AIOKafkaProducer(bootstrap_servers=here.bootstrap)
    await producer.start()
    batch = producer.create_batch()
    batch.append(key=None, value=None, timestamp=None)
    await (await producer.send_batch(batch, here.topic, partition=0))
    await producer.stop()


@pytest.fixture
def here(stack: RunningStack, prefix: str, tmp_path: Path) -> Installation:
    return Installation(stack, prefix, tmp_path / "applied")


def test_agent_that_raises_resumes_at_that_record_after_the_restart(here: Installation) -> None:
    for number in range(8):
        here.play(f"e{number}", "poison" if number == 3 else "t")
    with here.worker("poison") as first:
        assert first.wait(120) == 1
    assert here.applied() == ["e0", "e1", "e2"]
    here.output.with_suffix(".cured").touch()
    with here.worker("poison"):
        eventually(lambda: len(here.applied()) >= 8)
    # The commit may be behind what was applied, never ahead: nothing is missing, and the order holds.
    assert list(dict.fromkeys(here.applied())) == [f"e{number}" for number in range(8)]
    assert here.applied()[-5:] == ["e3", "e4", "e5", "e6", "e7"]


def test_what_cannot_be_applied_is_set_aside_byte_for_byte_and_the_partition_goes_on(here: Installation) -> None:
    nested = b'{"unknown": ' + b"[" * 100_000
    bad = [b"", b"{}", b"\xff\xfe not json", nested, b'{"event_id": NaN}', b"x" * 1_000_000]
    for value in bad:
        here.send(value, headers=[("trace", b"\x00\xff"), ("trace", b"again")])
    here.send(None)
    asyncio.run(send_nothing(here))
    here.play("good")
    here.play("of-another", user_id="v")
    here.play("refused", "refused")
    here.play("last")
    with here.worker():
        eventually(lambda: "last" in here.applied())
        letters = here.dead(10)
    assert [letter.value for letter in letters[:6]] == bad
    reasons = (
        b"undecodable invalid undecodable undecodable undecodable undecodable null_value null_value wrong_key refused"
    )
    assert [dict(letter.headers)["dead_reason"] for letter in letters] == reasons.split()
    assert letters[0].headers[:2] == [("trace", b"\x00\xff"), ("trace", b"again")]
    assert letters[0].key == b"u"
    told = dict(letters[2].headers)
    assert (told["dead_topic"], told["dead_partition"], told["dead_offset"]) == (here.topic.encode(), b"0", b"2")
    assert here.applied() == ["good", "last"]


def test_record_is_tried_again_while_a_store_is_away(here: Installation) -> None:
    here.play("e0", "away")
    here.play("e1")
    with here.worker():
        eventually(lambda: here.applied() == ["e0", "e1"])


def test_what_kafka_refused_to_note_is_noted_when_it_came_again(here: Installation) -> None:
    here.play("e0", "held")
    with here.worker():
        eventually(here.output.with_suffix(".held").exists)
        # The first that it would have noted, of somebody whom the group no longer knows.
        here.expel()
        here.output.with_suffix(".cured").touch()
        eventually(lambda: here.committed() == 1)
    assert set(here.applied()) == {"e0"}


async def test_more_than_an_agent_has_room_for_comes_in_order_over_offsets_without_a_record(here: Installation) -> None:
    count, of_round = STREAM_BUFFER + 1_000, 700
    makers = [AIOKafkaProducer(bootstrap_servers=here.bootstrap, transactional_id=f"{here.prefix}{n}") for n in (1, 2)]
    for maker in makers:
        await maker.start()
    for begin in range(0, count, of_round):
        for maker in makers:
            await maker.begin_transaction()
            await maker.send_and_wait(here.topic, b"{}", b"u", partition=0)
        for number in range(begin, min(begin + of_round, count)):
            await makers[0].send(here.topic, event(f"e{number}"), b"u", partition=0)
        # Two marks in a row, which take an offset each.
        for maker in makers:
            await maker.commit_transaction()
    for maker in makers:
        await maker.stop()
    rounds = -(-count // of_round)
    with here.worker():
        eventually(lambda: here.applied()[-1:] == [f"e{count - 1}"] and here.committed() == count + 4 * rounds - 2)
    assert here.applied() == [f"e{number}" for number in range(count)]
    assert len(here.dead(2 * rounds)) == 2 * rounds


def test_graceful_stop_leaves_nothing_to_do_again(here: Installation) -> None:
    here.play("e0")
    with here.worker() as first:
        eventually(lambda: here.applied() == ["e0"])
        first.terminate()
        assert first.wait(90) == 0
    here.play("e1")
    with here.worker():
        eventually(lambda: "e1" in here.applied())
    assert here.applied() == ["e0", "e1"]


def test_worker_that_comes_back_under_its_name_and_reads_one_topic_more_is_given_it(here: Installation) -> None:
    here.play("before")
    with here.worker(worker_name="one"):
        eventually(lambda: here.applied() == ["before"])
    here.producer.send(full_name(CATALOG_ARTISTS, here.prefix), b'{"artist_id": "a", "name": "A"}', b"a").get(10)
    with here.worker(also="artists", worker_name="one"):
        here.play("after")
        eventually(lambda: sorted(here.applied()) == ["a", "after", "before"], within_s=60)
