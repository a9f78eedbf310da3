"""Answers with all that followed them, read at once from the log: from Kafka, or from a file of JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from models.rewards import Reaction, reaction_of, reward
from streams.connections import connection_of
from streams.errors import LogUnreadable
from streams.logged import read_records
from streams.settings import Settings
from streams.state.feedback import CLOCKS_APART_MS
from topics.codec import decode
from topics.connection import Connection
from topics.errors import RecordRefused
from topics.records import Listen, Record, Served
from topics.specs import LISTENING_EVENTS, SERVED

HOUR_MS = 3_600_000
# A record with its time in UTC milliseconds.
Stamped = tuple[int, Record]


@dataclass
class Followed:
    """An answer, and the reactions to its tracks; each event counts once, the first record of an answer stands."""

    served: Served
    reactions: dict[str, list[Reaction]] = field(default_factory=dict)

    def reward(self, track_id: str) -> float | None:
        """What a track earned, `None` when nobody reacted to it."""
        return reward(self.reactions[track_id]) if track_id in self.reactions else None


def logged_answers(settings: Settings, log: Path | None) -> list[Followed]:
    """The answers of a file, or else of the installation's log, with what followed within the window of its learning.

    Raises:
        LogUnreadable, OSError: as `from_file`.
        BrokerUnavailable: as `from_kafka`.
    """
    records = from_file(log) if log else from_kafka(connection_of(settings), settings.topic_prefix)
    return join(records, settings.learning_window_hours * HOUR_MS)


def join(records: Iterable[Stamped], window_ms: float) -> list[Followed]:
    """The answers with the reactions that came within the window, in whatever order the records come."""
    answers: dict[str, tuple[int, Followed]] = {}
    events: dict[tuple[str, str], tuple[int, Listen]] = {}
    for at_ms, record in records:
        if isinstance(record, Served):
            answers.setdefault(record.request_id, (at_ms, Followed(record)))
        elif isinstance(record, Listen) and record.request_id is not None:
            events.setdefault((record.request_id, record.event_id), (at_ms, record))
    for at_ms, event in events.values():
        shown_ms, followed = answers.get(event.request_id or "", (0, None))
        reaction = reaction_of(event)
        if followed is None or reaction is None or not -CLOCKS_APART_MS <= at_ms - shown_ms <= window_ms:
            continue
        if any(one.track_id == reaction.track_id for one in followed.served.items):
            followed.reactions.setdefault(reaction.track_id, []).append(reaction)
    return [followed for _, followed in answers.values()]


def from_kafka(connection: Connection, prefix: str) -> Iterator[Stamped]:
    """All that the installation's log holds; what cannot be read is passed over.

    Raises:
        BrokerUnavailable: no broker answers, or it stops giving records.
    """
    for spec, kind in ((SERVED, Served), (LISTENING_EVENTS, Listen)):
        for one in read_records(connection, prefix, spec):
            try:
                yield one.timestamp, decode(one.value, kind)
            except RecordRefused:
                continue


class _Either(msgspec.Struct):
    items: msgspec.Raw = msgspec.Raw(b"")


def from_file(path: Path) -> Iterator[Stamped]:
    """The records of a file, one a line: of `recommendation.served`, and of `listening.events` by its own clock.

    Raises:
        LogUnreadable: a line is neither; says which.
        OSError: there is no such file.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                is_answer = bytes(msgspec.json.decode(line, type=_Either).items) != b""
                record: Served | Listen = decode(line, Served) if is_answer else decode(line, Listen)
            except (msgspec.DecodeError, RecordRefused) as error:
                raise LogUnreadable(
                    f"{path}, line {number}: expected a record of {SERVED.name} or {LISTENING_EVENTS.name}: {error}"
                ) from error
            yield (record.served_at_ms if isinstance(record, Served) else record.occurred_at_ms), record
