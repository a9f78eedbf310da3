"""What could not be applied: read from the dead-letter topics, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.errors import StreamError
from topics.admin import TopicState, list_topics
from topics.connection import Connection
from topics.specs import DEAD_LETTERS, MAX_DEAD_LETTER_BYTES, TopicSpec, spec_named

# In the order in which they are appended to what came.
DEAD_HEADERS = (
    "dead_reason",
    "dead_message",
    "dead_topic",
    "dead_partition",
    "dead_offset",
    "dead_at_ms",
    "dead_cut_from",
)
SUFFIX = ".dead"
# At most what Kafka adds to a key, a value, or a header's name or value; a batch's own 61 bytes are in the first two.
FRAMING = 40
SILENT_FOR_MS = 10_000


class LettersUnreadable(StreamError):
    """The broker does not give, or no longer gives, the dead letters that it has."""


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
    def fits(self) -> bool:
        """Whether its topic takes it back: a record that came compressed may be larger than what is sent plainly."""
        parts = (self.key, self.value, *(part for name, value in self.headers for part in (name.encode(), value)))
        return sum(len(part or b"") + FRAMING for part in parts) <= self.origin.max_message_bytes

    @property
    def is_whole(self) -> bool:
        """Whether it is what came; else only the beginning was kept."""
        return "dead_cut_from" not in dict(self.why)

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


def tally_of(letters: Iterable[DeadLetter], replayed: Callable[[DeadLetter], bool]) -> dict[tuple[str, str], Tally]:
    """Counts by topic of origin and reason."""
    counts: dict[tuple[str, str], Tally] = {}
    for letter in letters:
        counts.setdefault((letter.origin.name, letter.reason), Tally()).add(letter, replayed(letter))
    return dict(sorted(counts.items()))


@contextmanager
def dead_letters(
    connection: Connection, prefix: str = "", topic: TopicSpec | None = None
) -> Iterator[Iterator[DeadLetter]]:
    """Every letter there is now, of one dead-letter topic or of all, in the order of each topic.

    A block, because a consumer that is closed only when Python ends waits for ever for its dead thread.

    Raises:
        BrokerUnavailable, LettersUnreadable: the broker does not answer, or no more.
    """
    wanted = DEAD_LETTERS if topic is None else (topic,)
    states = [state for state in list_topics(connection, prefix) if state.spec in wanted]
    specs = {state.name: state.spec for state in states}
    ends = {TopicPartition(state.name, partition): end for state in states for partition, end in _held(state)}
    consumer = connection.open(
        KafkaConsumer,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_DEAD_LETTER_BYTES,
        metrics_enabled=False,
    )
    try:
        yield (letter_of(specs[record.topic], record) for record in _read(consumer, ends))
    except KafkaError as error:
        raise LettersUnreadable(f"dead letters cannot be read: {error!r}") from error
    finally:
        consumer.close()


def _held(state: TopicState) -> Sequence[tuple[int, int]]:
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
