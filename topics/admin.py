"""The contract's topics on a broker: made when missing, compared when there, counted when asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from topics.connection import Connection
from topics.errors import TopicError, UnknownTopic
from topics.specs import ALL, TopicSpec, full_name

SETTLED_WITHIN_MS = 10_000
REQUEST_MS = 10_000


class TopicsNotManaged(TopicError):
    """The broker refused to create or to describe topics; the message says which and why."""


@dataclass(frozen=True)
class Mismatch:
    """What a topic on the broker has otherwise than the contract; harmless where an operator meant it."""

    topic: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.topic}: expected {self.what} {self.expected}, found {self.found}"


@dataclass(frozen=True)
class Creation:
    """What `create_topics` did: every topic is in `created` or in `existing`, by its full name."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]


@dataclass(frozen=True)
class TopicState:
    """One topic as the broker has it.

    Attributes:
        name: with the installation's prefix.
        spec: its row of the contract.
        partitions: 0 when there is no such topic.
        config: the settings that the contract names.
        starts: partition -> offset of the oldest record that is kept.
        ends: partition -> offset that the next record will have.
    """

    name: str
    spec: TopicSpec
    partitions: int
    replication: int
    config: Mapping[str, str]
    starts: Mapping[int, int] = field(default_factory=dict)
    ends: Mapping[int, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Records kept; of a compacted topic at most so many."""
        return sum(end - self.starts.get(partition, 0) for partition, end in self.ends.items())


def create_topics(connection: Connection, prefix: str = "", partitions: int = 0, replication: int = 1) -> Creation:
    """Make what is missing of the contract's topics; returns once every one can be used.

    May run any number of times and by several programs at once.

    Args:
        connection: the brokers.
        prefix: the installation's.
        partitions: of each topic that the contract splits at all; 0 = the contract's numbers.
        replication: copies of each partition.

    Raises:
        BrokerUnavailable: no broker answers.
        TopicsNotManaged: a topic can be neither found nor made, say with more copies than there are brokers.
    """
    wanted = {full_name(spec, prefix): spec for spec in ALL}
    with _admin(connection) as admin:
        missing = {name: wanted[name] for name, found in _described(admin, wanted).items() if found is None}
        created = _create(admin, missing, partitions, replication)
        if missing:
            admin.wait_for_topics(list(missing), timeout_ms=SETTLED_WITHIN_MS)
        existing = {name: spec for name, spec in wanted.items() if name not in created}
        mismatched = _mismatches(_states(admin, existing), partitions)
    return Creation(tuple(sorted(created)), tuple(sorted(existing)), tuple(mismatched))


def list_topics(connection: Connection, prefix: str = "") -> list[TopicState]:
    """The contract's topics in its order, those that are missing too.

    Raises:
        BrokerUnavailable: no broker answers.
        TopicsNotManaged: the broker does not let us look.
    """
    with _admin(connection) as admin:
        return _counted(admin, _states(admin, {full_name(spec, prefix): spec for spec in ALL}))


def require_topics(connection: Connection, names: Iterable[str]) -> None:
    """Returns when every topic is there.

    A producer that meets an unknown topic waits for it for as long as it may block; this tells at once.

    Raises:
        UnknownTopic: one is not; the message says how to make it.
        BrokerUnavailable: no broker answers.
    """
    with _admin(connection) as admin:
        missing = [name for name, found in _described(admin, names).items() if found is None]
    if missing:
        raise UnknownTopic(
            f"{connection.bootstrap_servers} has no topic {', '.join(missing)}: run `throughbeat topics create`"
        )


@contextmanager
def _admin(connection: Connection) -> Iterator[Any]:
    admin = connection.open(KafkaAdminClient, request_timeout_ms=REQUEST_MS)
    try:
        yield admin
    except KafkaError as error:
        raise TopicsNotManaged(f"{connection.bootstrap_servers}: {error}") from error
    finally:
        admin.close()


def _described(admin: Any, names: Iterable[str]) -> dict[str, Any]:
    """Each topic's metadata, `None` where there is no such topic."""
    described: dict[str, Any] = {}
    for found in admin.describe_topics(list(names)):
        error = for_code(found["error_code"])
        if found["error_code"] and error is not UnknownTopicOrPartitionError:
            raise TopicsNotManaged(f"{found['name']} cannot be described: {error.__name__}: {error.description}")
        described[found["name"]] = None if found["error_code"] else found
    return described


def _create(admin: Any, missing: Mapping[str, TopicSpec], partitions: int, replication: int) -> set[str]:
    """The names that this call has made; another program may have made the rest meanwhile."""
    if not missing:
        return set()
    request = {
        name: {
            "num_partitions": partitions_of(spec, partitions),
            "replication_factor": replication,
            "configs": spec.config,
        }
        for name, spec in missing.items()
    }
    answers = admin.create_topics(request, raise_errors=False)["topics"]
    for answer in answers:
        error = for_code(answer["error_code"])
        if answer["error_code"] and error is not TopicAlreadyExistsError:
            reason = answer.get("error_message") or error.description
            raise TopicsNotManaged(f"{answer['name']} cannot be created: {error.__name__}: {reason}")
    return {answer["name"] for answer in answers if not answer["error_code"]}


def partitions_of(spec: TopicSpec, partitions: int) -> int:
    """How many partitions a topic gets: what is kept in one place by the contract stays in one place."""
    return partitions if partitions and spec.partitions > 1 else spec.partitions


def _states(admin: Any, wanted: Mapping[str, TopicSpec]) -> list[TopicState]:
    """What the broker has of each topic, but for its offsets."""
    described = _described(admin, wanted) if wanted else {}
    there = {name: found["partitions"] for name, found in described.items() if found is not None}
    configs = _configs(admin, list(there))
    return [
        TopicState(
            name=name,
            spec=spec,
            partitions=len(there.get(name, ())),
            replication=min((len(one["replica_nodes"]) for one in there.get(name, ())), default=0),
            config={key: configs[name][key]["value"] for key in _compared(spec)} if name in there else {},
        )
        for name, spec in wanted.items()
    ]


def _counted(admin: Any, states: Sequence[TopicState]) -> list[TopicState]:
    places = [TopicPartition(state.name, partition) for state in states for partition in range(state.partitions)]
    starts = _offsets(admin, places, OffsetSpec.EARLIEST)
    ends = _offsets(admin, places, OffsetSpec.LATEST)
    return [replace(state, starts=starts.get(state.name, {}), ends=ends.get(state.name, {})) for state in states]


def _compared(spec: TopicSpec) -> Sequence[str]:
    return sorted({*spec.config, "retention.ms"})


def _configs(admin: Any, names: Sequence[str]) -> dict[str, Any]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, Any] = admin.describe_configs(resources, config_filter="all")["topic"]
    return found


def _offsets(admin: Any, places: Sequence[TopicPartition], at: OffsetSpec) -> dict[str, dict[int, int]]:
    """Topic -> partition -> offset."""
    found: dict[str, dict[int, int]] = {}
    if places:
        for place, offset in admin.list_partition_offsets(dict.fromkeys(places, at)).items():
            found.setdefault(place.topic, {})[place.partition] = offset.offset
    return found


def _mismatches(states: Iterable[TopicState], partitions: int) -> Iterator[Mismatch]:
    for state in states:
        expected = partitions_of(state.spec, partitions)
        if state.partitions != expected:
            yield Mismatch(state.name, "partitions", str(expected), str(state.partitions))
        for key, value in state.spec.config.items():
            if state.config[key] != value:
                yield Mismatch(state.name, key, value, state.config[key])
