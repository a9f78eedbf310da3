"""Which answer belongs to which question: one reply partition, one reading thread, many questions open at once."""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from topics.codec import decode
from topics.connection import BrokerUnavailable, Connection
from topics.errors import ClientClosed, RecordRefused, RequestTimedOut, TopicError, UnknownTopic
from topics.records import RecommendationReply

CORRELATION_ID = "kafka_correlationId"
REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"

# How late a time-out may be noticed, and how long closing may take.
POLL_MS = 50


@dataclass
class Question:
    """One request whose answer has not come.

    Attributes:
        deadline: on the monotonic clock, after which nobody waits any more.
        acknowledged: whether Kafka has the request.
    """

    deadline: float
    within_s: float
    acknowledged: bool = False
    answer: Future[RecommendationReply] = field(default_factory=Future)
    correlation_id: bytes = field(default_factory=lambda: os.urandom(16))


class Replies:
    """The reading half of a client; opened at the end of its partition, so before its first question is sent.

    Attributes:
        address: the partition that is read; no other client's answers need to go there.
        starts_at: the offset of the first answer that is read.
    """

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._consumer: Any = connection.open(
            KafkaConsumer,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            # kafka-python counts checksums in Python, 1.4 ms for an answer of 15 KB; TCP has its own.
            check_crcs=False,
            metrics_enabled=False,
        )
        try:
            self.address, self.starts_at = _at_the_end(self._consumer, topic, connection)
        except BaseException:
            self._consumer.close()
            raise
        self._open: dict[bytes, Question] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._ended: TopicError | None = None
        self._thread = threading.Thread(target=self._read, name="throughbeat-replies", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Questions that are open."""
        return len(self._open)

    def expect(self, within_s: float) -> Question:
        """A new question; its answer completes with a reply, or with RequestTimedOut after `within_s`.

        Raises:
            ClientClosed: nobody reads answers any more.
        """
        question = Question(time.monotonic() + within_s, within_s)
        question.answer.set_running_or_notify_cancel()
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._open[question.correlation_id] = question
        return question

    def headers_of(self, question: Question) -> list[tuple[str, bytes]]:
        """What the request must carry for its answer to find the way back."""
        return [
            (CORRELATION_ID, question.correlation_id),
            (REPLY_TOPIC, self.address.topic.encode()),
            (REPLY_PARTITION, self.address.partition.to_bytes(4, "big")),
        ]

    def fail(self, question: Question, error: TopicError) -> None:
        """Complete a question that never reached Kafka."""
        if self._open.pop(question.correlation_id, None) is not None:
            question.answer.set_exception(error)

    def close(self) -> None:
        """Stop reading; open questions complete with ClientClosed. Returns once the thread is gone."""
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _read(self) -> None:
        ended: TopicError = ClientClosed("the client was closed before the answer came")
        try:
            while not self._closing.is_set():
                for records in self._consumer.poll(timeout_ms=self._patience_ms()).values():
                    for record in records:
                        self._answer(record)
                self._expire(time.monotonic())
        except KafkaError as error:
            ended = ClientClosed(f"answers can no longer be read: {error!r}; open a new client")
        finally:
            self._end(ended)
            self._consumer.close()

    def _patience_ms(self) -> int:
        nearest = min((question.deadline for question in list(self._open.values())), default=float("inf"))
        return max(1, min(POLL_MS, int((nearest - time.monotonic()) * 1000) if nearest < float("inf") else POLL_MS))

    def _answer(self, record: Any) -> None:
        correlation_id = next((value for name, value in record.headers if name == CORRELATION_ID), None)
        question = None if correlation_id is None else self._open.pop(correlation_id, None)
        if question is None:
            return
        try:
            question.answer.set_result(decode(record.value, RecommendationReply))
        except RecordRefused as refused:
            question.answer.set_exception(refused)

    def _expire(self, now: float) -> None:
        for question in [one for one in list(self._open.values()) if one.deadline <= now]:
            if self._open.pop(question.correlation_id, None) is not None:
                question.answer.set_exception(self._timed_out(question))

    def _timed_out(self, question: Question) -> RequestTimedOut:
        within = f"within {question.within_s:g} s"
        if question.acknowledged:
            return RequestTimedOut(f"no answer {within}: is a worker running? See `throughbeat doctor`")
        servers = self._connection.bootstrap_servers
        return RequestTimedOut(f"Kafka at {servers} did not take the request {within}: is it running?")

    def _end(self, ended: TopicError) -> None:
        with self._lock:
            self._ended = ended
            left = list(self._open.values())
            self._open.clear()
        for question in left:
            question.answer.set_exception(ended)


def _at_the_end(consumer: Any, topic: str, connection: Connection) -> tuple[TopicPartition, int]:
    """One partition of the topic, taken at random, and its end, where the consumer now is."""
    try:
        # Asked first: without it kafka-python finds the partition's leader only after a pause of 0.1 s.
        partitions = consumer.partitions_for_topic(topic)
        if not partitions:
            raise UnknownTopic(f"{connection.bootstrap_servers} has no topic {topic}: run `throughbeat topics create`")
        place = TopicPartition(topic, random.choice(sorted(partitions)))
        consumer.assign([place])
        consumer.seek_to_end(place)
        position = consumer.position(place, timeout_ms=int(connection.connect_within_s * 1000))
    except KafkaError as error:
        raise BrokerUnavailable(f"{connection.bootstrap_servers}: {topic} cannot be read: {error!r}") from error
    if position is None:
        raise BrokerUnavailable(f"{connection.bootstrap_servers} does not tell the end of {topic}[{place.partition}]")
    return place, position
