"""Dead letters sent again to the topic they came from, and how far that went.

How far is kept in Kafka, in one consumer group a reason: an offset says "all letters with this reason before here". So
a run that stops half-way, or takes one reason only, is taken up exactly where it was.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaError,
    NoError,
    NotCoordinatorError,
)

from streams.dead_letters import DeadLetter
from streams.errors import StreamError
from topics.client import Client, Published
from topics.connection import Connection
from topics.errors import PublishFailed
from topics.specs import full_name

BATCH = 100
GROUP = "throughbeat.dead-letters."
COORDINATED_WITHIN_S, RETRY_S = 15.0, 0.1


class ProgressNotKept(StreamError):
    """Kafka does not tell, or did not keep, how far letters have been sent again."""


def replay(
    connection: Connection,
    prefix: str,
    chosen: Iterable[DeadLetter],
    progress: Progress,
    on_replayed: Callable[[int], None] = lambda count: None,
) -> Replayed:
    """Send letters again to the topic they came from, byte for byte, and keep how far it went.

    A letter that was sent again before is passed over. A process that is killed may send up to `BATCH` letters once
    more; to stop it without, end `chosen`.

    Args:
        connection: the brokers.
        prefix: the installation's.
        chosen: each topic's letters in their order; of a reason all or none.
        progress: how far it went before.
        on_replayed: told how many so far, batch by batch.

    Raises:
        PublishFailed: the broker did not acknowledge a letter; those before it are kept as sent.
        ProgressNotKept: the letters of one batch were sent, and may be sent once more.
    """
    done = Replayed()
    with Client(connection, prefix) as client:
        batch = Batch(client, progress, done)
        for letter in chosen:
            if batch.add(letter) >= BATCH:
                batch.settle()
                on_replayed(done.count)
        batch.settle()
    on_replayed(done.count)
    return done


@dataclass
class Replayed:
    """What a replay did.

    Attributes:
        by_topic: letters sent again, by the topic they went to.
        unsendable: letters with neither key nor value, which no producer sends, cut ones, and too large ones.
    """

    by_topic: Counter[str] = field(default_factory=Counter)
    unsendable: int = 0

    @property
    def count(self) -> int:
        """All letters sent again."""
        return sum(self.by_topic.values())


class Progress:
    """Up to which offset the letters of each reason have been sent again."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        """Ask Kafka.

        Raises:
            BrokerUnavailable, ProgressNotKept: it does not tell.
        """
        self._connection = connection
        self._prefix = prefix
        self._groups = f"{prefix.rstrip('.')}.{GROUP}" if prefix else GROUP
        self._next: dict[tuple[str, TopicPartition], int] = {}
        self._load()

    def has(self, letter: DeadLetter) -> bool:
        """Whether the letter has been sent again."""
        return letter.offset < self._next.get((letter.reason, self._place(letter)), 0)

    def keep(self, letters: Iterable[DeadLetter]) -> None:
        """These have been sent again, and all before them with the same reason."""
        by_reason: dict[str, dict[TopicPartition, Any]] = {}
        for letter in letters:
            place = self._place(letter)
            by_reason.setdefault(letter.reason, {})[place] = OffsetAndMetadata(letter.offset + 1, "", -1)
        if not by_reason:
            return
        with _Admin(self._connection) as admin:
            for reason, offsets in by_reason.items():
                _patiently(partial(_commit, admin, self._groups + reason, offsets))
                self._next |= {(reason, place): at.offset for place, at in offsets.items()}

    def _load(self) -> None:
        with _Admin(self._connection) as admin:
            # Asked about first: a broker that has never kept an offset says so only when it is asked to.
            _patiently(lambda: admin.list_group_offsets(self._groups))
            names = [group["group_id"] for group in admin.list_groups()]
            for group in (name for name in names if name.startswith(self._groups)):
                reason = group.removeprefix(self._groups)
                for place, committed in _patiently(partial(admin.list_group_offsets, group))[group].items():
                    self._next[(reason, place)] = committed.offset

    def _place(self, letter: DeadLetter) -> TopicPartition:
        return TopicPartition(full_name(letter.topic, self._prefix), letter.partition)


@dataclass
class Batch:
    """Letters under way, whose progress is kept at once."""

    client: Client
    progress: Progress
    done: Replayed
    under_way: list[tuple[DeadLetter, Future[Published]]] = field(default_factory=list)

    def add(self, letter: DeadLetter) -> int:
        """Send one letter unless that was done before; how many are under way."""
        if not (letter.is_whole and letter.fits) or (letter.key is None and letter.value is None):
            self.done.unsendable += 1
        elif not self.progress.has(letter):
            # kafka-python sends no null as a header's value; an empty one is the nearest.
            headers = [(name, value or b"") for name, value in letter.headers]
            sent = self.client.post_bytes(letter.origin, letter.key, letter.value, headers)
            self.under_way.append((letter, sent))
        return len(self.under_way)

    def settle(self) -> None:
        """Wait for the acknowledgements and keep how far it went.

        Raises:
            PublishFailed: one did not come. Letters after it with the same reason do not count as sent.
        """
        kept: list[DeadLetter] = []
        stuck: dict[tuple[str, str, int], PublishFailed] = {}
        for letter, sent in self.under_way:
            line = (letter.reason, letter.topic.name, letter.partition)
            try:
                sent.result()
            except PublishFailed as error:
                stuck.setdefault(line, error)
            if line not in stuck:
                kept.append(letter)
        self.under_way.clear()
        self.progress.keep(kept)
        self.done.by_topic.update(letter.origin.name for letter in kept)
        for failure in stuck.values():
            raise failure


class _Admin:
    """An admin client for the length of a block, whose errors are ours."""

    def __init__(self, connection: Connection) -> None:
        self._admin: Any = connection.open(KafkaAdminClient)

    def __enter__(self) -> Any:
        return self._admin

    def __exit__(self, kind: Any, error: BaseException | None, at: Any) -> None:
        self._admin.close()
        if isinstance(error, KafkaError):
            raise ProgressNotKept(f"how far letters were sent again cannot be read or kept: {error!r}") from error


def _commit(admin: Any, group: str, offsets: Mapping[TopicPartition, Any]) -> None:
    for answer in admin.alter_group_offsets(group, offsets).values():
        if answer is not NoError:
            raise answer(group)


def _patiently(call: Callable[[], Any]) -> Any:
    """The call's value, trying again while the keeper of offsets is being chosen."""
    deadline = time.monotonic() + COORDINATED_WITHIN_S
    while True:
        try:
            return call()
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)
