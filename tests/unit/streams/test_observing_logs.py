from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from streams.observing.logs import JsonLines, KafkaNoise, ids_in


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Written(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture
def written() -> Iterator[Written]:
    handler = Written()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def noise(written: Written, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> KafkaNoise:
    """The filter, whose quiet is looked for when the test says so."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    noise = KafkaNoise(clock, quiet_s=3.0)
    written.addFilter(noise)
    return noise


def complain(times: int) -> None:
    """As aiokafka does, word for word, while no broker answers."""
    for _ in range(times):
        logging.getLogger("aiokafka").error(
            "Unable connect to node with id %s: %s", 1, "[Errno 111] Connect call failed"
        )
        logging.getLogger("aiokafka").error("Unable to update metadata from %s", [1])
        logging.getLogger("aiokafka.consumer.fetcher").error(
            "Failed fetch messages from %s: %s", 1, "NodeNotReadyError: Attempt to send a request to node 1"
        )
        logging.getLogger("aiokafka.consumer.group_coordinator").error("Heartbeat session expired - marking dead")


def test_kafka_away_and_back_are_one_line_each(noise: KafkaNoise, written: Written, clock: Clock) -> None:
    complain(1)
    clock.now += 16.0
    complain(9)
    assert not noise.settle()
    clock.now += 3.0
    assert noise.settle()
    assert [line.partition(": ")[2] for line in written.lines] == [
        "Kafka is away: Unable connect to node with id 1: [Errno 111] Connect call failed",
        "Kafka is back after 16.0 s; 39 lines of its clients were left out",
    ]


def test_going_away_again_is_told_again(noise: KafkaNoise, written: Written, clock: Clock) -> None:
    for _ in range(2):
        complain(3)
        clock.now += 5.0
        noise.settle()
    assert [line.split()[3] for line in written.lines] == ["away:", "back", "away:", "back"]


def test_other_lines_pass_whether_kafka_is_away_or_not(noise: KafkaNoise, written: Written) -> None:
    complain(2)
    logging.getLogger("aiokafka").error("Topic %s is not authorised", "x")
    logging.getLogger("faust.agents").error("agent crashed")
    logging.getLogger("streams.delivery").warning("trying again in 0.05 s: Connection refused")
    assert [line.partition(": ")[2] for line in written.lines[1:]] == [
        "Topic x is not authorised",
        "agent crashed",
        "trying again in 0.05 s: Connection refused",
    ]


def test_a_group_that_rebalances_while_kafka_is_there_is_told(noise: KafkaNoise, written: Written) -> None:
    logging.getLogger("aiokafka.consumer.group_coordinator").warning("Heartbeat failed: it is rebalancing")
    assert len(written.lines) == 1


def record(**more: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "streams.x", "levelname": "WARNING", "msg": "set %s\naside", "args": ("it",)})
    made.__dict__.update(more)
    return made


def test_line_of_json_holds_the_whole_record_and_what_it_is_about() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        line = JsonLines().format(record(created=0.5, request_id="r7", offset=3, exc_info=(ValueError, error, None)))
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("error").endswith("ValueError: a\nb\n")
    assert found == {
        "time": "1970-01-01T00:00:00.500+00:00",
        "level": "warning",
        "logger": "streams.x",
        "message": "set it\naside",
        "request_id": "r7",
        "offset": 3,
    }


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b'{"event_id": "e1", "user_id": "u", "kind": 5}', {"event_id": "e1"}),
        (b'{"request_id": "r1", "limit": "many"}', {"request_id": "r1"}),
        (b'{"track_id": "t"}', {}),
        (b'{"event_id": 7}', {}),
        (b"\xff not json", {}),
        (b"[" * 100_000, {}),
        (None, {}),
    ],
)
def test_ids_are_found_in_what_cannot_be_read_otherwise(value: bytes | None, ids: dict[str, str]) -> None:
    assert ids_in(value) == ids
