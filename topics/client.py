"""How another program talks to Throughbeat: publish records, ask for recommendations. Plain Kafka, by kafka-python."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from topics.admin import require_topics
from topics.connection import Connection
from topics.correlation import Question, Replies
from topics.errors import ClientClosed, PublishFailed, RecordRefused
from topics.outgoing import checked_bytes, key_of
from topics.producing import DELIVERY_MS, Producer, failed
from topics.records import RecommendationReply, RecommendationRequest, Record
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    PLAYLISTS_WEEKLY,
    REPLIES,
    REQUESTS,
    TopicSpec,
    full_name,
    spec_named,
)

ACKNOWLEDGED_WITHIN_S = 10.0
CLOSE_WITHIN_S = 5.0
WAITING_MAX = 5_000
WITHDRAWABLE = (CATALOG_TRACKS, CATALOG_ARTISTS, CATALOG_PLAYLISTS, PLAYLISTS_WEEKLY)


@dataclass(frozen=True, slots=True)
class Published:
    """Where the broker put a record: what `after` of a request is made of."""

    topic: str
    partition: int
    offset: int


class Client:
    """A connection of one program; safe to share between threads, and to leave by `with`.

    >>> with Client(Connection("127.0.0.1:9092")) as client:                            # doctest: +SKIP
    ...     skip = Listen(event_id="e1", user_id="u1", kind="skip", track_id="t1", occurred_at_ms=1700000000000)
    ...     place = client.publish(LISTENING_EVENTS, skip)
    ...     seen = {str(place.partition): place.offset}
    ...     reply = client.ask(RecommendationRequest(request_id="r1", user_id="u1", after=seen))
    """

    def __init__(self, connection: Connection, prefix: str = "") -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker answers.
        """
        self._connection = connection
        self._prefix = prefix
        self._producer = Producer(connection)
        self._replies: Replies | None = None
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def publish(
        self,
        topic: TopicSpec | str,
        record: Record,
        key: str | None = None,
        *,
        timeout_s: float = ACKNOWLEDGED_WITHIN_S,
    ) -> Published:
        """Send one record and wait until the broker holds it.

        Args:
            topic: a row of `topics.specs`, or its name without the installation's prefix.
            record: of the type that the topic carries.
            key: only where the record does not say it itself.
            timeout_s: how long to wait.

        Raises:
            RecordRefused: the record breaks the contract; nothing was sent.
            UnknownTopic: the broker has no such topic.
            PublishFailed: not acknowledged in time; it may still arrive.
        """
        return _within(self.post(topic, record, key), timeout_s)

    def post(self, topic: TopicSpec | str, record: Record, key: str | None = None) -> Future[Published]:
        """Send one record without waiting; the future holds the acknowledgement, or PublishFailed.

        Raises:
            RecordRefused: the record breaks the contract; nothing was sent.
        """
        spec = spec_named(topic) if isinstance(topic, str) else topic
        value = checked_bytes(spec, record)
        key = key_of(spec, record) if key is None else key
        return self.post_bytes(spec, None if key is None else key.encode(), value)

    def publish_many(
        self,
        topic: TopicSpec | str,
        records: Iterable[Record],
        *,
        on_acknowledged: Callable[[int], None] = lambda count: None,
        waiting_max: int = WAITING_MAX,
    ) -> int:
        """Send many records, in order, and wait for all; at most `waiting_max` are under way at once.

        Args:
            topic: as for `publish`.
            records: taken one by one, no faster than the broker acknowledges.
            on_acknowledged: told how many are acknowledged so far, now and then.
            waiting_max: bounds the memory.

        Returns:
            How many were acknowledged: all of them.

        Raises:
            RecordRefused, PublishFailed: at the first that fails; those before it were or will be delivered.
        """
        window = Window(waiting_max, on_acknowledged)
        for record in records:
            window.add(self.post(topic, record))
        return window.drain()

    def withdraw(
        self, topic: TopicSpec | str, record_id: str, *, timeout_s: float = ACKNOWLEDGED_WITHIN_S
    ) -> Published:
        """Take a track, an artist or a playlist out of the catalogue, or let a person's weekly lists be forgotten.

        Raises:
            RecordRefused: nothing can be withdrawn from that topic.
            PublishFailed: not acknowledged in time.
        """
        spec = spec_named(topic) if isinstance(topic, str) else topic
        if spec not in WITHDRAWABLE:
            raise RecordRefused(
                "null_value", f"expected a catalogue topic or {PLAYLISTS_WEEKLY.name} to withdraw from, got {spec.name}"
            )
        if not record_id:
            raise RecordRefused("wrong_key", f"expected a {spec.key} to withdraw, got none")
        return _within(self.post_bytes(spec, record_id.encode(), None), timeout_s)

    def post_bytes(
        self,
        topic: TopicSpec,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Future[Published]:
        """Send bytes as they are, unchecked.

        Raises:
            PublishFailed: the broker or the topic is away, or the bytes are too many.
        """
        name = full_name(topic, self._prefix)
        self._require_topics(name)
        acknowledged: Future[Published] = Future()
        acknowledged.set_running_or_notify_cancel()
        sent = self._send(name, key, value, headers)
        sent.add_callback(lambda at: acknowledged.set_result(Published(name, at.partition, at.offset)))
        sent.add_errback(lambda error: acknowledged.set_exception(failed(name, error)))
        return acknowledged

    def ask(self, request: RecommendationRequest, timeout_s: float = 5.0) -> RecommendationReply:
        """The answer to one request; an answer with status `error` is an answer.

        Raises:
            RequestTimedOut: none came in time.
            RecordRefused: the request breaks the contract; nothing was sent.
        """
        return self.submit(request, timeout_s).result()

    def submit(self, request: RecommendationRequest, timeout_s: float = 5.0) -> Future[RecommendationReply]:
        """Ask without waiting; any number may be open at once.

        The future completes with the reply, RequestTimedOut, PublishFailed or ClientClosed. It cannot be cancelled.

        Raises:
            RecordRefused: the request breaks the contract; nothing was sent.
            BrokerUnavailable, UnknownTopic: at the first request, when answers cannot be read.
        """
        value, key = checked_bytes(REQUESTS, request), key_of(REQUESTS, request)
        replies = self._reading(timeout_s)
        question = replies.expect(timeout_s)
        try:
            sent = self._send(
                full_name(REQUESTS, self._prefix), (key or "").encode(), value, replies.headers_of(question)
            )
        except (PublishFailed, ClientClosed) as error:
            replies.fail(question, error)
            return question.answer
        sent.add_callback(lambda _: _mark_acknowledged(question))
        sent.add_errback(lambda error: replies.fail(question, failed(REQUESTS.name, error)))
        return question.answer

    def prepare(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Open now what the first request would open, so that it takes no longer than the others.

        Raises:
            BrokerUnavailable, UnknownTopic: requests cannot be sent or answers not be read.
        """
        self._reading(within_s)
        self._producer.know(full_name(REQUESTS, self._prefix))

    @property
    def open_requests(self) -> int:
        """Requests that wait for their answer."""
        return len(self._replies) if self._replies is not None else 0

    def flush(self, timeout_s: float = DELIVERY_MS / 1000) -> None:
        """Wait until every record posted so far is acknowledged or has failed.

        Raises:
            PublishFailed: some are neither in time.
        """
        self._producer.flush(timeout_s)

    def close(self, timeout_s: float = CLOSE_WITHIN_S) -> None:
        """Send what is under way, then leave no thread behind; open requests complete with ClientClosed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._replies is not None:
            self._replies.close()
        self._producer.close(timeout_s)

    def _reading(self, within_s: float) -> Replies:
        """The reading half, opened by the first question."""
        with self._lock:
            self._require_open()
            if self._replies is None:
                connection = replace(self._connection, connect_within_s=within_s)
                requests, replies = full_name(REQUESTS, self._prefix), full_name(REPLIES, self._prefix)
                self._require_topics(requests, replies, connection=connection)
                self._replies = Replies(connection, replies)
            return self._replies

    def _require_topics(self, *names: str, connection: Connection | None = None) -> None:
        if not self._known.issuperset(names):
            self._require_open()
            require_topics(connection or self._connection, names)
            self._known.update(names)

    def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Any:
        self._require_open()
        return self._producer.send(topic, key, value, headers)

    def _require_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client is closed: open a new one")


class Window:
    """Acknowledgements under way, at most so many: the back-pressure of a bulk load."""

    def __init__(self, size: int, on_acknowledged: Callable[[int], None] = lambda count: None) -> None:
        self._size = size
        self._waiting: deque[Future[Published]] = deque()
        self._on_acknowledged = on_acknowledged
        self.acknowledged = 0

    def add(self, sent: Future[Published]) -> None:
        """One more; waits for the oldest when there are too many.

        Raises:
            PublishFailed: one of the oldest was not acknowledged.
        """
        self._waiting.append(sent)
        while len(self._waiting) > self._size or (self._waiting and self._waiting[0].done()):
            self._settle()

    def drain(self) -> int:
        """Wait for all; how many were acknowledged since the start.

        Raises:
            PublishFailed: one was not.
        """
        while self._waiting:
            self._settle()
        self._on_acknowledged(self.acknowledged)
        return self.acknowledged

    def _settle(self) -> None:
        self._waiting.popleft().result()
        self.acknowledged += 1
        if self.acknowledged % 100 == 0:
            self._on_acknowledged(self.acknowledged)


def _mark_acknowledged(question: Question) -> None:
    question.acknowledged = True


def _within(acknowledged: Future[Published], timeout_s: float) -> Published:
    try:
        return acknowledged.result(timeout_s)
    except TimeoutError as error:
        raise PublishFailed(
            f"not acknowledged within {timeout_s:g} s: is Kafka running? The record may still arrive"
        ) from error
