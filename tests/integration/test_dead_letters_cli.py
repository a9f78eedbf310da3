"""`throughbeat dead-letters` on a real broker, as a person and as a program use it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from typer.testing import CliRunner

from streams.cli import app
from streams.dead_letters import FRAMING
from streams.embedded.stack import RunningStack
from tests.integration.responder import stored
from topics.admin import create_topics
from topics.connection import Connection
from topics.specs import LISTENING_EVENTS, TopicSpec, dead_letters_of, full_name, spec_named

POISON = b"\xff\x00 not json \x1b[31m"
AT_MS = 1_700_000_000_000


@dataclass
class Box:
    """One installation with dead letters, and the command."""

    connection: Connection
    prefix: str

    def set_aside(
        self,
        reason: str,
        value: bytes | None = POISON,
        key: bytes | None = b"ada",
        topic: str = "listening.events",
        came_with: tuple[tuple[str, bytes], ...] = (),
        count: int = 1,
        cut_from: int = 0,
    ) -> None:
        """Letters as `streams.delivery` writes them, a second between two."""
        spec = spec_named(topic)
        producer = self.connection.open(KafkaProducer, max_request_size=2_000_000)
        for number in range(count):
            why = [
                ("dead_reason", reason.encode()),
                ("dead_message", "expected é, got \n".encode()),
                ("dead_topic", full_name(spec, self.prefix).encode()),
                ("dead_partition", b"2"),
                ("dead_offset", str(number).encode()),
                ("dead_at_ms", str(AT_MS + number * 1000).encode()),
                *([("dead_cut_from", str(cut_from).encode())] if cut_from else []),
            ]
            producer.send(full_name(dead_letters_of(spec), self.prefix), value, key, [*came_with, *why])
        producer.close()

    def options(self) -> list[str]:
        return ["--kafka", self.connection.bootstrap_servers, "--prefix", self.prefix]

    def run(self, *arguments: str, expected: int = 0, answer: str | None = None) -> str:
        result = CliRunner().invoke(app, ["dead-letters", *arguments, *self.options()], input=answer)
        assert result.exit_code == expected, result.output
        return result.stdout

    def counts(self) -> dict[tuple[str, str], tuple[int, int]]:
        rows = json.loads(self.run("list", "--json"))
        return {(row["topic"], row["reason"]): (row["count"], row["replayed"]) for row in rows}

    def arrived(self, spec: TopicSpec = LISTENING_EVENTS) -> list[object]:
        """What is in a topic."""
        return stored(self.connection, full_name(spec, self.prefix))


@pytest.fixture
def box(stack: RunningStack, prefix: str) -> Box:
    connection = Connection(stack.kafka_bootstrap)
    create_topics(connection, prefix)
    return Box(connection, prefix)


def test_list_counts_by_topic_and_reason_with_first_and_last_time(box: Box) -> None:
    assert box.run("list") == "no dead letters\n"
    box.set_aside("undecodable", count=3)
    box.set_aside("wrong_key")
    box.set_aside("invalid", topic="catalog.tracks")
    rows = {(row["topic"], row["reason"]): row for row in json.loads(box.run("list", "--json"))}
    assert {place: row["count"] for place, row in rows.items()} == {
        ("catalog.tracks", "invalid"): 1,
        ("listening.events", "undecodable"): 3,
        ("listening.events", "wrong_key"): 1,
    }
    undecodable = rows["listening.events", "undecodable"]
    assert (undecodable["first_at_ms"], undecodable["last_at_ms"]) == (AT_MS, AT_MS + 2000)
    table = box.run("list")
    assert "2023-11-14 22:13:20Z" in table
    assert "2023-11-14 22:13:22Z" in table


def test_show_gives_the_latest_letter_escaped_and_never_the_terminal_s_own_codes(box: Box) -> None:
    box.set_aside("undecodable", b"first")
    box.set_aside("undecodable", POISON, came_with=(("trace", b"\x00\xff"),), count=2)
    text = box.run("show")
    assert text.splitlines() == [
        "listening.events.dead[0]@2  2023-11-14 22:13:21Z",
        "  reason   undecodable: expected é, got \\n",
        "  came as  listening.events[2]@1",
        "  key      ada",
        "  header   trace: \\x00\\xff",
        "  value    \\xff\\x00 not json \\x1b[31m",
    ]
    assert "first" in box.run("show", "--offset", "0")
    assert box.run("show", "--limit", "10").count("listening.events.dead[0]@") == 3
    assert box.run("show", "--topic", "catalog.tracks") == "no such dead letters\n"


def test_show_as_json_gives_every_byte(box: Box) -> None:
    box.set_aside("undecodable", POISON, key=None, came_with=(("trace", b"\x00\xff"), ("dead_reason", b"its own")))
    letter = json.loads(box.run("show", "--json"))
    assert base64.b64decode(letter["value"]) == POISON
    assert letter["key"] is None
    assert letter["headers"] == [["trace", "AP8="], ["dead_reason", base64.b64encode(b"its own").decode()]]
    assert (letter["dead_reason"], letter["dead_partition"], letter["dead_offset"]) == ("undecodable", "2", "0")


def test_replay_sends_the_very_bytes_key_and_headers_to_where_they_came_from(box: Box) -> None:
    came_with = (("trace", b"\x00\xff"), ("trace", b"again"), ("dead_reason", b"its own"))
    box.set_aside("undecodable", POISON, key=b"\xfe", came_with=came_with)
    box.set_aside("undecodable", None, key=b"t1", topic="catalog.tracks")
    box.set_aside("undecodable", b"x" * 1_048_000, key=b"big")
    assert box.run("replay", "--yes") == "1 of catalog.tracks, 2 of listening.events sent again\n"
    by_key = {record.key: record for record in box.arrived()}
    assert by_key[b"\xfe"].value == POISON
    assert tuple(by_key[b"\xfe"].headers) == came_with
    assert by_key[b"big"].value == b"x" * 1_048_000
    (withdrawal,) = box.arrived(spec_named("catalog.tracks"))
    assert (withdrawal.key, withdrawal.value, list(withdrawal.headers)) == (b"t1", None, [])


def test_letter_is_sent_again_once_however_reasons_are_taken(box: Box) -> None:
    for reason in ("invalid", "wrong_key", "invalid", "undecodable", "wrong_key"):
        box.set_aside(reason)
    assert box.run("replay", "--reason", "wrong_key", "--yes") == "2 of listening.events sent again\n"
    assert box.run("replay", "--reason", "wrong_key", "--yes") == "nothing left to send again\n"
    box.set_aside("wrong_key")
    assert json.loads(box.run("replay", "--yes", "--json")) == {"letters": 4, "by_topic": {"listening.events": 4}}
    assert len(box.arrived()) == 6
    assert box.counts() == {
        ("listening.events", "invalid"): (2, 2),
        ("listening.events", "undecodable"): (1, 1),
        ("listening.events", "wrong_key"): (3, 3),
    }


def test_replay_of_one_topic_leaves_the_others(box: Box) -> None:
    box.set_aside("invalid")
    box.set_aside("invalid", topic="catalog.tracks")
    assert box.run("replay", "--topic", "catalog.tracks.dead", "--yes") == "1 of catalog.tracks sent again\n"
    assert box.arrived() == []
    assert box.counts()["listening.events", "invalid"] == (1, 0)


def test_dry_run_and_a_no_send_nothing(box: Box) -> None:
    box.set_aside("invalid", count=2)
    assert box.run("replay", "--dry-run") == "2 of listening.events would be sent again\n"
    box.run("replay", answer="n\n", expected=1)
    box.run("replay", answer="", expected=1)
    assert box.arrived() == []
    assert "2 of listening.events sent again" in box.run("replay", answer="y\n")


async def send_nothing(bootstrap: str, topic: str) -> None:
    """A record with neither key nor value: `send` of the Python clients refuses it, others do not."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    batch = producer.create_batch()
    batch.append(timestamp=None, key=None, value=None, headers=[("dead_reason", b"null_value")])
    await (await producer.send_batch(batch, topic, partition=0))
    await producer.stop()


def test_letter_with_neither_key_nor_value_is_told_and_does_not_stop_the_rest(box: Box) -> None:
    topic = full_name(dead_letters_of(LISTENING_EVENTS), box.prefix)
    asyncio.run(send_nothing(box.connection.bootstrap_servers, topic))
    box.set_aside("null_value", b"{}")
    assert "1 of listening.events sent again\n1 left out" in box.run("replay", "--yes")
    assert [record.value for record in box.arrived()] == [b"{}"]


def test_letter_as_large_as_its_topic_takes_is_sent_and_a_larger_or_cut_one_is_told(box: Box) -> None:
    most = 1_100_000 - 2 * FRAMING - len(b"ada")
    box.set_aside("too_large", b"x" * most)
    box.set_aside("too_large", b"x" * (most + 1))
    box.set_aside("too_large", b"{}", cut_from=5_000_000)
    box.set_aside("too_large", b"{}")
    assert box.run("replay", "--yes") == (
        "2 of listening.events sent again\n2 left out: records without key and value, or too large, cannot be sent\n"
    )
    assert [len(record.value) for record in box.arrived()] == [most, 2]


def test_replay_that_is_told_to_stop_goes_on_where_it_was(box: Box) -> None:
    # So many that it is still under way when what it has sent is seen.
    count = 20_000
    box.set_aside("invalid", count=count)
    command = [sys.executable, "-m", "streams.cli", "dead-letters", "replay", "--yes", *box.options()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    deadline = time.monotonic() + 60
    with closing(box.connection.open(KafkaConsumer)) as consumer:
        places = [TopicPartition(full_name(LISTENING_EVENTS, box.prefix), one) for one in range(4)]
        while not any(consumer.end_offsets(places).values()):
            assert time.monotonic() < deadline, "nothing was sent"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
    sent = len(box.arrived())
    assert 0 < sent < count
    assert box.counts()["listening.events", "invalid"] == (count, sent)
    box.run("replay", "--yes")
    assert len(box.arrived()) == count


def test_topic_without_dead_letters_is_a_wrong_command_line(box: Box) -> None:
    result = CliRunner().invoke(app, ["dead-letters", "replay", "--topic", "recommendation.replies", *box.options()])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
