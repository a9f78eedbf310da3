"""A kafka-python producer that survives a record which the broker refuses, and that always ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, RetriableError

from topics.connection import Connection
from topics.errors import PublishFailed
from topics.specs import MAX_DEAD_LETTER_BYTES

# A record is given up, and reported, after this long without an acknowledgement.
DELIVERY_MS = 30_000
REQUEST_MS = 10_000
RENEW_WITHIN_S = 5.0


class Producer:
    """Sends bytes; each record once, in the order of its partition, acknowledged by every copy."""

    def __init__(self, connection: Connection) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker answers.
        """
        self._connection = connection
        self._lock = threading.Lock()
        self._producer = self._opened()
        self._spent: Any = None

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Any:
        """Send without waiting; the value is kafka-python's future.

        Raises:
            PublishFailed: the topic's partitions are unknown, or the record is too large for any topic.
        """
        producer = self._fit()
        try:
            sent = producer.send(topic, value, key, list(headers))
        except (KafkaError, ValueError) as error:
            raise failed(topic, error) from error
        return sent.add_errback(partial(self._note, producer))

    def know(self, topic: str) -> None:
        """Learn a topic's partitions now, not at the first record.

        Raises:
            PublishFailed: they cannot be learned.
        """
        try:
            self._fit().partitions_for(topic)
        except KafkaError as error:
            raise failed(topic, error) from error

    def flush(self, timeout_s: float) -> None:
        """Wait until every record sent so far is acknowledged or has failed.

        Raises:
            PublishFailed: some are neither in time.
        """
        try:
            self._producer.flush(timeout_s)
        except KafkaError as error:
            raise PublishFailed(f"records are still not acknowledged after {timeout_s:g} s") from error

    def close(self, timeout_s: float) -> None:
        """Send what is under way, and end; what cannot be sent in time fails."""
        _end(self._producer, timeout_s)

    def _opened(self) -> Any:
        return self._connection.open(
            KafkaProducer,
            acks="all",
            linger_ms=0,
            max_block_ms=int(self._connection.connect_within_s * 1000),
            request_timeout_ms=REQUEST_MS,
            delivery_timeout_ms=DELIVERY_MS,
            max_request_size=MAX_DEAD_LETTER_BYTES + 100_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def _note(self, producer: Any, error: BaseException) -> None:
        # kafka-python 3.0.12 fails everything after one refused record, once its producer is idempotent.
        if not isinstance(error, RetriableError):
            self._spent = producer

    def _fit(self) -> Any:
        with self._lock:
            if self._producer is self._spent:
                _end(self._producer, RENEW_WITHIN_S)
                self._producer = self._opened()
            return self._producer


def failed(topic: str, error: BaseException) -> PublishFailed:
    """What the caller is told of a record without an acknowledgement."""
    return PublishFailed(f"{topic}: not acknowledged: {error}")


def _end(producer: Any, timeout_s: float) -> None:
    try:
        producer.close(timeout_s)
    except KafkaTimeoutError:
        # kafka-python 3.0.12 gives up here with its thread still running, and has no public way to end it.
        producer._sender.force_close()
        producer.close(timeout_s)
