"""The client on a real broker, with a responder that answers as the recommender does, only sooner."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from kafka import KafkaProducer

from streams.embedded.stack import RunningStack, running_stack
from tests.integration.responder import echo, responding, stored
from topics.admin import create_topics
from topics.client import Client, Published
from topics.codec import encode
from topics.connection import BrokerUnavailable, Connection
from topics.correlation import Replies
from topics.errors import ClientClosed, PublishFailed, RecordRefused, RequestTimedOut, UnknownTopic
from topics.records import ArtistRef, Listen, RecommendationReply, RecommendationRequest, Track
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, REPLIES, full_name

NOW_MS = 1_790_000_000_000


def request(number: int = 0, user_id: str | None = "ada") -> RecommendationRequest:
    return RecommendationRequest(request_id=f"r{number}", user_id=user_id)


def play(number: int = 0, user_id: str = "ada") -> Listen:
    return Listen(event_id=f"e{number}", user_id=user_id, track_id="t", kind="play", occurred_at_ms=NOW_MS)


def track(track_id: str, title: str = "Time Is Running Out") -> Track:
    return Track(track_id=track_id, title=title, artists=(ArtistRef(artist_id="a", name="Muse"),))


@pytest.fixture
def connection(stack: RunningStack, prefix: str) -> Connection:
    connection = Connection(stack.kafka_bootstrap)
    create_topics(connection, prefix)
    return connection


@pytest.fixture
def client(connection: Connection, prefix: str) -> Iterator[Client]:
    with Client(connection, prefix) as client:
        yield client


def test_published_record_lies_where_the_client_says(client: Client, connection: Connection, prefix: str) -> None:
    first, second = client.publish(LISTENING_EVENTS, play(1)), client.publish("listening.events", play(2))
    assert second == Published(f"{prefix}.listening.events", first.partition, first.offset + 1)
    (one, two) = stored(connection, f"{prefix}.listening.events")
    assert (one.partition, one.offset, one.key) == (first.partition, first.offset, b"ada")
    assert two.value == encode(play(2))


def test_person_s_records_share_a_partition_and_keep_their_order(
    client: Client, connection: Connection, prefix: str
) -> None:
    told: list[int] = []
    listens = [play(number, user_id=f"u{number % 7}") for number in range(1_000)]
    assert client.publish_many(LISTENING_EVENTS, listens, on_acknowledged=told.append, waiting_max=50) == 1_000
    assert told == sorted(told)
    assert told[-1] == 1_000
    records = stored(connection, f"{prefix}.listening.events")
    for user in range(7):
        own = [record for record in records if record.key == f"u{user}".encode()]
        assert len({record.partition for record in own}) == 1
        assert [record.value for record in own] == [encode(one) for one in listens if one.user_id == f"u{user}"]


def test_withdrawal_is_a_null_value_under_the_id(client: Client, connection: Connection, prefix: str) -> None:
    client.publish(CATALOG_TRACKS, track("t1"))
    client.withdraw("catalog.tracks", "t1")
    put, withdrawn = stored(connection, f"{prefix}.catalog.tracks")
    assert (put.key, withdrawn.key, withdrawn.value) == (b"t1", b"t1", None)
    assert put.partition == withdrawn.partition
    with pytest.raises(RecordRefused):
        client.withdraw(LISTENING_EVENTS, "ada")


@pytest.mark.parametrize(
    "record",
    [
        Listen(event_id="", user_id="u", track_id="t", kind="play", occurred_at_ms=1),
        Listen(event_id="e", user_id="u", track_id="t", kind="play", occurred_at_ms=-1),
        Listen(event_id="\ud800", user_id="u", track_id="t", kind="play", occurred_at_ms=1),
        track("t"),
    ],
    ids=["empty id", "time before 1970", "lone surrogate", "a track"],
)
def test_record_that_breaks_the_contract_never_leaves(
    record: object, client: Client, connection: Connection, prefix: str
) -> None:
    with pytest.raises(RecordRefused):
        client.publish(LISTENING_EVENTS, record)
    assert stored(connection, f"{prefix}.listening.events") == []


def test_topic_that_is_not_there_is_named_at_once(connection: Connection) -> None:
    with Client(connection, "elsewhere") as client:
        began = time.monotonic()
        with pytest.raises(UnknownTopic, match=r"elsewhere\.listening\.events.*throughbeat topics create"):
            client.publish(LISTENING_EVENTS, play())
        with pytest.raises(UnknownTopic, match=r"elsewhere\.recommendation\.re"):
            client.ask(request())
        assert time.monotonic() - began < 3


def test_record_that_the_broker_refuses_does_not_end_the_client(
    client: Client, connection: Connection, prefix: str
) -> None:
    with pytest.raises(PublishFailed, match="Compacted topic cannot accept message without key"):
        client.post_bytes(CATALOG_TRACKS, None, b"x").result(20)
    with pytest.raises(PublishFailed, match="MessageSizeTooLargeError"):
        client.post_bytes(CATALOG_TRACKS, b"t", b"x" * 1_900_000).result(20)
    with pytest.raises(PublishFailed, match="larger than the maximum request size"):
        client.post_bytes(CATALOG_TRACKS, b"t", b"x" * 3_000_000)
    client.publish(CATALOG_TRACKS, track("t1"))
    assert [record.key for record in stored(connection, f"{prefix}.catalog.tracks")] == [b"t1"]
    with responding(connection, prefix):
        assert client.ask(request()).status == "ok"


def test_answer_is_that_of_the_request(client: Client, connection: Connection, prefix: str) -> None:
    with responding(connection, prefix) as responder:
        assert client.ask(request(7)) == echo(request(7))[0]
        assert client.ask(request(8, user_id=None)).user_id is None
    assert [record.key for record in responder.asked] == [b"ada", b"r8"]
    correlations = {dict(record.headers)["kafka_correlationId"] for record in responder.asked}
    assert len(correlations) == 2


def test_many_requests_from_many_threads_each_get_their_own_answer(
    client: Client, connection: Connection, prefix: str
) -> None:
    with responding(connection, prefix), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: (number, client.submit(request(number), 30)), range(500)))
        assert [answer.result().request_id for _, answer in answers] == [f"r{number}" for number in range(500)]
    assert client.open_requests == 0


def test_every_client_reads_only_its_own_answers(connection: Connection, prefix: str) -> None:
    with responding(connection, prefix), Client(connection, prefix) as one, Client(connection, prefix) as other:
        for number in range(20):
            assert one.ask(request(number)).request_id == f"r{number}"
            assert other.ask(request(100 + number)).request_id == f"r{100 + number}"


def test_request_without_an_answer_times_out_and_is_forgotten(client: Client, connection: Connection) -> None:
    client.prepare()
    began = time.monotonic()
    with pytest.raises(RequestTimedOut, match="is a worker running"):
        client.ask(request(), timeout_s=0.3)
    assert 0.3 <= time.monotonic() - began < 2
    assert client.open_requests == 0


def test_answer_that_comes_too_late_or_twice_changes_nothing(
    client: Client, connection: Connection, prefix: str
) -> None:
    def twice(asked: RecommendationRequest) -> list[RecommendationReply]:
        return [] if asked.request_id == "r1" else echo(asked) * 2

    with responding(connection, prefix, twice) as responder:
        with pytest.raises(RequestTimedOut):
            client.ask(request(1), timeout_s=0.3)
        responder.send(dict(responder.asked[0].headers), encode(echo(request(1))[0]))
        for number in range(2, 12):
            assert client.ask(request(number)).request_id == f"r{number}"
    assert client.open_requests == 0


def test_reading_starts_after_the_answers_that_were_there_before(connection: Connection, prefix: str) -> None:
    topic = full_name(REPLIES, prefix)
    old = connection.open(KafkaProducer)
    for partition in range(4):
        old.send(topic, b"nonsense", partition=partition, headers=[("kafka_correlationId", b"x")])
    old.close()
    replies = Replies(connection, topic)
    replies.close()
    assert replies.starts_at == 1


def test_answer_that_cannot_be_read_is_refused_and_the_next_is_answered(
    client: Client, connection: Connection, prefix: str
) -> None:
    with responding(connection, prefix, lambda asked: [] if asked.request_id == "r1" else echo(asked)) as responder:
        answer = client.submit(request(1), 20)
        deadline = time.monotonic() + 20
        while not responder.asked:
            assert time.monotonic() < deadline
            wait([answer], timeout=0.01)
        responder.send(dict(responder.asked[0].headers), b'{"status": "splendid"}')
        with pytest.raises(RecordRefused):
            answer.result(20)
        assert client.ask(request(2)).request_id == "r2"


def test_closing_answers_open_requests_and_leaves_no_thread(connection: Connection, prefix: str) -> None:
    before = set(threading.enumerate())
    client = Client(connection, prefix)
    answers = [client.submit(request(number), 60) for number in range(5)]
    client.publish(LISTENING_EVENTS, play())
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 3
    for answer in answers:
        with pytest.raises(ClientClosed):
            answer.result(0)
    assert set(threading.enumerate()) == before
    client.close()
    with pytest.raises(ClientClosed):
        client.ask(request())
    with pytest.raises(ClientClosed):
        client.publish(LISTENING_EVENTS, play())


def test_client_that_finds_no_broker_says_where_it_looked_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"no Kafka answers at 127\.0\.0\.1:1: start one with `throughbeat up`"):
        Client(Connection("127.0.0.1:1", connect_within_s=0.5))
    assert time.monotonic() - began < 3
    assert set(threading.enumerate()) == before


def test_broker_that_goes_away_is_told_in_time_and_its_return_needs_no_new_client(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with running_stack(tmp_path) as stack:
        connection = Connection(stack.kafka_bootstrap)
        create_topics(connection)
        with Client(connection) as client:
            client.prepare()
            client.publish(LISTENING_EVENTS, play(1))
            stack.kafka.kill()
            began = time.monotonic()
            with pytest.raises(RequestTimedOut, match="did not take the request within 1 s: is it running"):
                client.ask(request(1), timeout_s=1)
            with pytest.raises(PublishFailed, match="may still arrive"):
                client.publish(LISTENING_EVENTS, play(2), timeout_s=1)
            assert time.monotonic() - began < 5
            stack.kafka.restart()
            with responding(connection, ""):
                assert client.ask(request(2), timeout_s=20).request_id == "r2"
        values = [record.value for record in stored(connection, "listening.events")]
        assert values == [encode(play(1)), encode(play(2))]
    assert set(threading.enumerate()) == before


def test_closing_while_the_broker_is_away_ends_in_time_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with running_stack(tmp_path) as stack:
        connection = Connection(stack.kafka_bootstrap)
        create_topics(connection)
        client = Client(connection)
        client.publish(LISTENING_EVENTS, play(1))
        stack.kafka.kill()
        never = client.post(LISTENING_EVENTS, play(2))
        client.close(timeout_s=0.5)
        with pytest.raises(PublishFailed):
            never.result(5)
        assert set(threading.enumerate()) == before
