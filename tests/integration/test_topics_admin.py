"""The contract's topics, made and listed on a real broker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from streams.embedded.stack import RunningStack
from topics.admin import Mismatch, TopicsNotManaged, create_topics, list_topics
from topics.client import Client
from topics.connection import Connection
from topics.records import Listen
from topics.specs import LISTENING_EVENTS

# The wire contract's table, and one topic of dead letters for each whose records are applied.
NAMES = {
    "catalog.tracks",
    "catalog.artists",
    "catalog.playlists",
    "listening.events",
    "recommendation.requests",
    "recommendation.replies",
    "recommendation.served",
    "listening.sessions",
    "models.updates",
    "privacy.requests",
    "playlists.weekly",
    "catalog.tracks.dead",
    "catalog.artists.dead",
    "catalog.playlists.dead",
    "listening.events.dead",
    "listening.sessions.dead",
    "playlists.weekly.dead",
    "recommendation.requests.dead",
    "privacy.requests.dead",
}
DAY_MS = 86_400_000


@pytest.fixture
def connection(stack: RunningStack) -> Connection:
    return Connection(stack.kafka_bootstrap)


def test_topics_are_created_once_and_left_alone_afterwards(connection: Connection, prefix: str) -> None:
    first, second = create_topics(connection, prefix), create_topics(connection, prefix)
    assert {*first.created} == {f"{prefix}.{name}" for name in NAMES}
    assert (first.existing, second.created) == ((), ())
    assert {*second.existing} == {*first.created}
    assert (first.mismatched, second.mismatched) == ((), ())


def test_broker_has_the_contract_s_partitions_and_clean_up(connection: Connection, prefix: str) -> None:
    create_topics(connection, prefix)
    found = {state.name.removeprefix(f"{prefix}."): state for state in list_topics(connection, prefix)}
    assert {name: state.partitions for name, state in found.items()} == {
        name: 1 if name.endswith(".dead") or name == "models.updates" else 4 for name in NAMES
    }
    compacted = {name for name, state in found.items() if state.config["cleanup.policy"] == "compact"}
    assert compacted == {"catalog.tracks", "catalog.artists", "catalog.playlists", "models.updates", "playlists.weekly"}
    kept_ms = {name: int(state.config["retention.ms"]) for name, state in found.items() if name not in compacted}
    assert kept_ms == {
        "listening.events": 30 * DAY_MS,
        "recommendation.requests": DAY_MS // 24,
        "recommendation.replies": DAY_MS // 24,
        "recommendation.served": 90 * DAY_MS,
        "listening.sessions": 30 * DAY_MS,
        "privacy.requests": 30 * DAY_MS,
        **{name: 30 * DAY_MS for name in NAMES if name.endswith(".dead")},
    }


def test_topics_are_created_by_several_programs_at_once(connection: Connection, prefix: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        all_done = list(threads.map(lambda _: create_topics(connection, prefix), range(4)))
    assert sorted(name for done in all_done for name in done.created) == sorted(f"{prefix}.{name}" for name in NAMES)
    assert all(len(done.created) + len(done.existing) == len(NAMES) for done in all_done)


def test_only_what_is_missing_is_created(connection: Connection, prefix: str) -> None:
    create_topics(connection, prefix)
    admin = connection.open(KafkaAdminClient)
    admin.delete_topics([f"{prefix}.catalog.tracks.dead"])
    deadline = time.monotonic() + 60
    while not admin.describe_topics([f"{prefix}.catalog.tracks.dead"])[0]["error_code"]:
        assert time.monotonic() < deadline
    admin.close()
    assert create_topics(connection, prefix).created == (f"{prefix}.catalog.tracks.dead",)


def test_number_of_partitions_spares_what_is_kept_in_one_place(connection: Connection, prefix: str) -> None:
    create_topics(connection, prefix, partitions=2)
    found = {state.name.removeprefix(f"{prefix}."): state.partitions for state in list_topics(connection, prefix)}
    assert {found[name] for name in ("catalog.tracks", "listening.events", "recommendation.replies")} == {2}
    assert {found[name] for name in ("models.updates", "listening.events.dead")} == {1}


def test_topic_that_differs_from_the_contract_is_told_and_kept(connection: Connection, prefix: str) -> None:
    name = f"{prefix}.listening.events"
    admin = connection.open(KafkaAdminClient)
    configs = {"cleanup.policy": "compact", "retention.ms": "1000", "max.message.bytes": "1100000"}
    admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1, "configs": configs}})
    admin.close()
    done = create_topics(connection, prefix)
    assert name in done.existing
    assert set(done.mismatched) == {
        Mismatch(name, "partitions", "4", "2"),
        Mismatch(name, "cleanup.policy", "delete", "compact"),
        Mismatch(name, "retention.ms", str(30 * DAY_MS), "1000"),
    }
    assert str(done.mismatched[0]) == f"{name}: expected partitions 4, found 2"


def test_more_copies_than_brokers_are_refused_with_the_broker_s_reason(connection: Connection, prefix: str) -> None:
    with pytest.raises(TopicsNotManaged, match=rf"{prefix}\.\S+ cannot be created: InvalidReplicationFactorError"):
        create_topics(connection, prefix, replication=3)


def test_list_counts_records_and_shows_what_is_missing(connection: Connection, prefix: str) -> None:
    assert {state.partitions for state in list_topics(connection, prefix)} == {0}
    create_topics(connection, prefix)
    with Client(connection, prefix) as client:
        for number in range(3):
            event = Listen(event_id=f"e{number}", user_id="u", track_id="t", kind="play", occurred_at_ms=1)
            place = client.publish(LISTENING_EVENTS, event)
    found = {state.name: state for state in list_topics(connection, prefix)}
    assert {name for name, state in found.items() if state.records} == {f"{prefix}.listening.events"}
    events = found[place.topic]
    assert events.records == 3
    assert events.ends == {partition: 3 if partition == place.partition else 0 for partition in range(4)}
    admin = connection.open(KafkaAdminClient)
    admin.delete_records({TopicPartition(place.topic, place.partition): 2})
    admin.close()
    assert sum(state.records for state in list_topics(connection, prefix)) == 1
