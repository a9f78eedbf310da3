"""Topics read from their beginning, by kafka-python and nothing of the product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from topics.connection import Connection


def read_topics(kafka: Connection, names: Sequence[str]) -> dict[str, list[Any]]:
    """Every record of each topic, partition by partition, in the order of their offsets."""
    consumer = KafkaConsumer(**kafka.options(), enable_auto_commit=False, max_poll_records=5_000)
    try:
        return {name: _read(consumer, name) for name in names}
    finally:
        consumer.close()


def _read(consumer: Any, topic: str) -> list[Any]:
    places = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic) or ())]
    if not places:
        return []
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    records: list[Any] = []
    while any(consumer.position(place) < end for place, end in ends.items()):
        for found in consumer.poll(timeout_ms=500).values():
            records += found
    return sorted(records, key=lambda one: (one.partition, one.offset))
