"""`models.updates`: the one place that says which version of a model serves, written by commands and by workers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from msgspec.structs import replace

from streams.serving.versions import installed, promoted, ready
from topics.codec import decode, encode
from topics.connection import BrokerUnavailable, Connection
from topics.errors import PublishFailed, RecordRefused
from topics.producing import Producer
from topics.records import ModelUpdate
from topics.specs import MODELS_UPDATES, full_name

log = logging.getLogger(__name__)

POLL_MS = 250
READ_WITHIN_S = 20.0
ACKNOWLEDGED_WITHIN_S = 20.0
AWAY_S = 1.0


def read_updates(connection: Connection, prefix: str) -> tuple[dict[str, ModelUpdate], int]:
    """The last update of each model, and the offset of whatever comes next.

    Raises:
        BrokerUnavailable: it cannot be read.
    """
    found: dict[str, ModelUpdate] = {}
    deadline = time.monotonic() + READ_WITHIN_S
    try:
        consumer, place = _opened(connection, prefix, 0)
        try:
            end = consumer.end_offsets([place])[place]
            while consumer.position(place) < end:
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(f"Kafka gives nothing of {place.topic}")
                found |= {one.model: one for one in _updates(consumer)}
        finally:
            consumer.close()
    except (KafkaError, OSError) as error:
        raise BrokerUnavailable(f"{full_name(MODELS_UPDATES, prefix)} cannot be read: {error!r}") from error
    return found, end


def announce(connection: Connection, prefix: str, update: ModelUpdate) -> ModelUpdate:
    """Write an update, with the time; returns once the broker holds it.

    Raises:
        BrokerUnavailable, PublishFailed: it does not.
    """
    stamped = replace(update, updated_at_ms=int(time.time() * 1000))
    producer = Producer(connection)
    try:
        sent = producer.send(full_name(MODELS_UPDATES, prefix), update.model.encode(), encode(stamped), ())
        sent.get(timeout=ACKNOWLEDGED_WITHIN_S)
    except KafkaError as error:
        raise PublishFailed(f"{full_name(MODELS_UPDATES, prefix)}: not acknowledged: {error}") from error
    finally:
        producer.close(ACKNOWLEDGED_WITHIN_S)
    return stamped


def tell_served(connection: Connection, prefix: str, model: str, version: str, *, by_operator: bool) -> None:
    """Announce a version that serves, of a model whose versions need no filling; nothing where that is known.

    Raises:
        BrokerUnavailable, PublishFailed: it is not announced.
    """
    before = read_updates(connection, prefix)[0].get(model)
    if before is None:
        announce(connection, prefix, installed(model, version))
    elif before.version != version:
        announce(connection, prefix, ready(promoted(before, version, by_operator=by_operator)))


def follow(
    connection: Connection, prefix: str, offset: int, tell: Callable[[ModelUpdate], object]
) -> Callable[[], None]:
    """Tell every update, from an offset on, on a thread of its own; the value ends that.

    While Kafka is away nothing is told, and nothing is missed.
    """
    stopping = threading.Event()

    def read() -> None:
        at = offset
        while not stopping.is_set():
            try:
                consumer, place = _opened(connection, prefix, at)
                try:
                    while not stopping.is_set():
                        for update in _updates(consumer):
                            tell(update)
                        at = consumer.position(place)
                finally:
                    consumer.close()
            except (KafkaError, OSError, BrokerUnavailable) as error:
                log.debug("updates of models cannot be read: %r", error)
                stopping.wait(AWAY_S)

    threading.Thread(target=read, name="models.updates", daemon=True).start()
    return stopping.set


def _opened(connection: Connection, prefix: str, offset: int) -> tuple[Any, TopicPartition]:
    consumer = connection.open(KafkaConsumer, enable_auto_commit=False, metrics_enabled=False)
    place = TopicPartition(full_name(MODELS_UPDATES, prefix), 0)
    consumer.assign([place])
    if offset:
        consumer.seek(place, offset)
    else:
        consumer.seek_to_beginning(place)
    return consumer, place


def _updates(consumer: Any) -> list[ModelUpdate]:
    found = []
    for records in consumer.poll(timeout_ms=POLL_MS).values():
        for record in records:
            try:
                found.append(decode(record.value, ModelUpdate))
            except RecordRefused as refused:
                log.warning("an update of a model cannot be read: %s", refused)
    return found
