"""How the partitions of a worker stand, asked of the broker itself: a client that has died quietly would not tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from streams.lag import committed_offsets
from streams.observing.stalls import Place, Standing
from topics.connection import BrokerUnavailable, Connection

ANSWER_WITHIN_MS = 5_000
POLL_MS = 200
SETTLED = "Stable"

T = TypeVar("T")


class OffsetReader:
    """Asks the brokers; blocking, for one thread at a time. Every method raises BrokerUnavailable when none answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._admin: Any = None

    def standings(self, group: str, places: Collection[Place]) -> dict[Place, Standing]:
        """Of each place: where the group goes on, and the end. Records that expired unread are nobody's lag."""
        wanted = [TopicPartition(*place) for place in places]

        def ask(admin: Any) -> dict[Place, Standing]:
            committed = committed_offsets(admin, group)
            first = admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.EARLIEST))
            ends = admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.LATEST))
            return {
                Place(*at): Standing(max(first[at].offset, committed.get((at.topic, at.partition), 0)), ends[at].offset)
                for at in wanted
            }

        return self._asked(ask)

    def places(self, topics: Collection[str]) -> list[Place]:
        """Every partition of the topics."""
        return self._asked(
            lambda admin: [
                Place(found["name"], one["partition_index"])
                for found in admin.describe_topics(list(topics))
                for one in found["partitions"]
            ]
        )

    def is_settled(self, group: str) -> bool:
        """Whether the group has members and each has its share."""
        return self._asked(lambda admin: str(admin.describe_groups([group])[group]["group_state"]) == SETTLED)

    def has_records(self, place: Place, standing: Standing) -> bool:
        """Whether a record is to be read there: the ends of transactions and what was compacted away leave none."""
        at = TopicPartition(*place)
        deadline = time.monotonic() + ANSWER_WITHIN_MS / 1000
        try:
            consumer = self._connection.open(KafkaConsumer, enable_auto_commit=False, metrics_enabled=False)
            try:
                consumer.assign([at])
                consumer.seek(at, standing.through)
                while consumer.position(at) < standing.end:
                    if consumer.poll(timeout_ms=POLL_MS):
                        return True
                    if time.monotonic() > deadline:
                        raise BrokerUnavailable(f"Kafka gives nothing of {place.topic}[{place.partition}]")
                return False
            finally:
                consumer.close()
        except (KafkaError, OSError) as error:
            raise BrokerUnavailable(f"Kafka does not answer: {error!r}") from error

    def close(self) -> None:
        """Leave nothing behind; the next question opens a new connection."""
        admin, self._admin = self._admin, None
        if admin is not None:
            with suppress(KafkaError, OSError):
                admin.close()

    def _asked(self, question: Callable[[Any], T]) -> T:
        try:
            if self._admin is None:
                self._admin = self._connection.open(KafkaAdminClient, request_timeout_ms=ANSWER_WITHIN_MS)
            return question(self._admin)
        except (KafkaError, OSError) as error:
            self.close()
            raise BrokerUnavailable(f"Kafka does not answer: {error!r}") from error
