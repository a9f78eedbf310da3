"""What could not be applied: read from the dead-letter topics, counted, shown, and sent again.

How far letters have been sent again is kept in Kafka, in one consumer group a reason: an offset says "all letters with
this reason before here". So a run that stops half-way, or takes one reason only, is taken up exactly where it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, NoError

from streams.errors import StreamError
from topics.admin import TopicState, list_topics
from topics.client import Client, Published
from topics.connection import Connection
from topics.errors import PublishFailed
from topics.specs import DEAD_LETTERS, MAX_DEAD_LETTER_BYTES, TopicSpec, full_name, spec_named

# In the order in which they are appended to what came.
DEAD_HEADERS = ("dead_reason", "dead_message", "dead_topic", "dead_partition", "dead_offset", "dead_at_ms")
SUFFIX = ".dead"
BATCH = 100
SILENT_FOR_MS = 10_000


class LettersUnreadable(StreamError):
    """The broker stopped answering while dead letters were read or their progress was kept."""


@dataclass(frozen=True)
class DeadLetter:
    """One record that was set aside, as it came, and why."""

    topic: TopicSpec
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    why: tuple[tuple[str, str], ...]

    @property
    def reason(self) -> str:
        """The short stable code."""
        return dict(self.why).get("dead_reason", "unknown")

    @property
    def message(self) -> str:
        """What was expected and what came."""
        return dict(self.why).get("dead_message", "")

    @property
    def at_ms(self) -> int:
        """When it was set aside."""
        text = dict(self.why).get("dead_at_ms", "")
        return int(text) if text.isascii() and text.isdigit() else 0

    @property
    def origin(self) -> TopicSpec:
        """The topic that it came from."""
        return spec_named(self.topic.name.removesuffix(SUFFIX))


def letter_of(topic: TopicSpec, record: Any) -> DeadLetter:
    """A record of a dead-letter topic, with what came kept apart from what was added.

    Only the headers at the very end are ours; the same names before them came with the record.
    """
    headers = list(record.headers or ())
    why: list[tuple[str, str]] = []
    while headers and headers[-1][0] in DEAD_HEADERS and headers[-1][0] not in dict(why):
        name, value = headers.pop()
        why.insert(0, (name, (value or b"").decode(errors="replace")))
    return DeadLetter(topic, record.partition, record.offset, record.key, record.value, tuple(headers), tuple(why))


@dataclass
class Tally:
    """Letters of one topic with one reason."""

    count: int = 0
    replayed: int = 0
    first_at_ms: int = 0
    last_at_ms: int = 0

    def add(self, letter: DeadLetter, replayed: bool) -> None:
        """Count one more."""
        self.first_at_ms = min(self.first_at_ms or letter.at_ms, letter.at_ms)
        self.last_at_ms = max(self.last_at_ms, letter.at_ms)
        self.count += 1
        self.replayed += replayed


class DeadLetterBox:
    """The dead letters of one installation."""

    def __init__(self, connection: Connection, prefix: str = "") -> None:
        self._connection = connection
        self._prefix = prefix
        self._installation = full_name(DEAD_LETTERS[0], prefix).removesuffix(DEAD_LETTERS[0].name)

    def letters(self, topic: TopicSpec | None = None) -> Iterator[DeadLetter]:
        """Every letter there is now, of one topic or of all, in the order of each topic.

        Raises:
            BrokerUnavailable, LettersUnreadable: the broker does not answer, or no more.
        """
        states = [state for state in list_topics(self._connection, self._prefix) if state.records]
        specs = {state.name: state.spec for state in states if state.spec in ((topic,) if topic else DEAD_LETTERS)}
        ends = {TopicPartition(s.name, p): end for s in states if s.name in specs for p, end in _unread(s)}
        consumer = self._connection.open(
            KafkaConsumer,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_DEAD_LETTER_BYTES,
            metrics_enabled=False,
        )
        try:
            for record in _read(consumer, ends):
                yield letter_of(specs[record.topic], record)
        except KafkaError as error:
            raise LettersUnreadable(f"dead letters cannot be read: {error!r}") from error
        finally:
            consumer.close()

    def tally(self) -> dict[tuple[str, str], Tally]:
        """Counts by topic of origin and reason."""
        progress = self.progress()
        counts: dict[tuple[str, str], Tally] = {}
        for letter in self.letters():
            counts.setdefault((letter.origin.name, letter.reason), Tally()).add(letter, progress.has(letter))
        return dict(sorted(counts.items()))

    def progress(self) -> Progress:
        """How far letters have been sent again, as Kafka has it.

        Raises:
            BrokerUnavailable, LettersUnreadable: it cannot be known.
        """
        progress = Progress(self._connection, f"{self._installation}throughbeat.dead-letters.", self._prefix)
        progress.load()
        return progress

    def replay(
        self,
        chosen: Iterable[DeadLetter],
        progress: Progress,
        on_replayed: Callable[[int], None] = lambda count: None,
    ) -> Replayed:
        """Send letters again to the topic they came from, byte for byte, and keep how far it went.

        A letter that was sent again before is passed over. A process that is killed may send up to `BATCH` letters once
        more; to stop it without, end `chosen`.

        Args:
            chosen: each topic's letters in their order, with any reasons left out, but of a reason none.
            progress: as it was when they were chosen.
            on_replayed: told how many so far, batch by batch.

        Raises:
            PublishFailed: the broker did not acknowledge a letter; those before it are kept as sent.
        """
        done = Replayed()
        with Client(self._connection, self._prefix) as client:
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
        unsendable: letters with neither key nor value, which no producer sends.
    """

    by_topic: Counter[str] = field(default_factory=Counter)
    unsendable: int = 0

    @property
    def count(self) -> int:
        """All letters sent again."""
        return sum(self.by_topic.values())


class Progress:
    """Up to which offset the letters of each reason have been sent again."""

    def __init__(self, connection: Connection, group_prefix: str, prefix: str) -> None:
        self._connection = connection
        self._group_prefix = group_prefix
        self._prefix = prefix
        self._next: dict[tuple[str, TopicPartition], int] = {}

    def has(self, letter: DeadLetter) -> bool:
        """Whether the letter has been sent again."""
        return letter.offset < self._next.get((letter.reason, self._place(letter)), 0)

    def load(self) -> None:
        """Ask Kafka."""
        with _Admin(self._connection) as admin:
            names = [group["group_id"] for group in admin.list_groups()]
            for group in (name for name in names if name.startswith(self._group_prefix)):
                reason = group.removeprefix(self._group_prefix)
                for place, committed in admin.list_group_offsets(group)[group].items():
                    self._next[(reason, place)] = committed.offset

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
                answers = admin.alter_group_offsets(self._group_prefix + reason, offsets)
                for error in (answer for answer in answers.values() if answer is not NoError):
                    raise error
                self._next |= {(reason, place): at.offset for place, at in offsets.items()}

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
        if letter.key is None and letter.value is None:
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
        for error in stuck.values():
            raise error


class _Admin:
    """An admin client for the length of a block, whose errors are ours."""

    def __init__(self, connection: Connection) -> None:
        self._admin: Any = connection.open(KafkaAdminClient)

    def __enter__(self) -> Any:
        return self._admin

    def __exit__(self, kind: Any, error: BaseException | None, at: Any) -> None:
        self._admin.close()
        if isinstance(error, KafkaError):
            raise LettersUnreadable(f"the progress of replays cannot be read or kept: {error!r}") from error


def _unread(state: TopicState) -> Sequence[tuple[int, int]]:
    """Partition and end of each partition that holds something."""
    return [(partition, end) for partition, end in state.ends.items() if end > state.starts[partition]]


def _read(consumer: Any, ends: dict[TopicPartition, int]) -> Iterator[Any]:
    """All records before the given ends.

    Raises:
        LettersUnreadable: the broker goes silent before.
    """
    left = dict(ends)
    if not left:
        return
    consumer.assign(list(left))
    consumer.seek_to_beginning(*left)
    while left:
        found = consumer.poll(timeout_ms=SILENT_FOR_MS)
        if not found:
            raise LettersUnreadable(f"the broker sends no dead letters of {', '.join(place.topic for place in left)}")
        for place, records in found.items():
            yield from (record for record in records if record.offset < ends[place])
            if consumer.position(place) >= ends[place] and left.pop(place, None) is not None:
                consumer.pause(place)
