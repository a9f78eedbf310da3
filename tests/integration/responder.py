"""A responder that answers requests as the recommender does, only sooner; and what a topic holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from topics.codec import decode, encode
from topics.connection import Connection
from topics.records import RecommendationReply, RecommendationRequest
from topics.specs import REQUESTS, full_name

Respond = Callable[[RecommendationRequest], list[RecommendationReply]]


def echo(asked: RecommendationRequest) -> list[RecommendationReply]:
    return [RecommendationReply(request_id=asked.request_id, user_id=asked.user_id, status="ok")]


class Responder:
    """Reads requests, and sends what it is told to where their headers say."""

    def __init__(self, connection: Connection, prefix: str, respond: Respond) -> None:
        self.asked: list[object] = []
        self._respond = respond
        self._stopping = threading.Event()
        self._consumer = connection.open(KafkaConsumer)
        topic = full_name(REQUESTS, prefix)
        self._consumer.assign([TopicPartition(topic, one) for one in self._consumer.partitions_for_topic(topic)])
        self._consumer.seek_to_end()
        for place in self._consumer.assignment():
            self._consumer.position(place)
        self._producer = connection.open(KafkaProducer)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            for records in self._consumer.poll(timeout_ms=50).values():
                for record in records:
                    self.asked.append(record)
                    for reply in self._respond(decode(record.value, RecommendationRequest)):
                        self.send(dict(record.headers), encode(reply))

    def send(self, headers: dict[str, bytes], value: bytes) -> None:
        to = headers["kafka_replyTopic"].decode()
        partition = int.from_bytes(headers["kafka_replyPartition"], "big")
        correlation = [("kafka_correlationId", headers["kafka_correlationId"])]
        self._producer.send(to, value, partition=partition, headers=correlation)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()
        self._producer.close()


@contextmanager
def responding(connection: Connection, prefix: str, respond: Respond = echo) -> Iterator[Responder]:
    responder = Responder(connection, prefix, respond)
    try:
        yield responder
    finally:
        responder.close()


def stored(connection: Connection, topic: str) -> list[object]:
    """All records of a topic, each partition in its order."""
    consumer = connection.open(KafkaConsumer)
    try:
        places = [TopicPartition(topic, one) for one in sorted(consumer.partitions_for_topic(topic))]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning()
        found: list[object] = []
        deadline = time.monotonic() + 60
        while any(consumer.position(place) < ends[place] for place in places):
            assert time.monotonic() < deadline, "not all records came"
            found += [record for records in consumer.poll(timeout_ms=100).values() for record in records]
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()
