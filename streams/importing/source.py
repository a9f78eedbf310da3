"""What every kind of file becomes: items in the order of the file, and what makes a record of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import msgspec

from streams.importing.rows import BadRow, Cells, csv_text
from topics.codec import MAX_RECORD_BYTES, encode
from topics.errors import RecordRefused
from topics.records import Artist, Playlist, Track
from topics.specs import TopicSpec

CatalogueRecord = Track | Artist | Playlist
R = TypeVar("R", Track, Artist, Playlist)
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?$", re.DOTALL)


class RowGroup(NamedTuple):
    """Rows that make one playlist: what they say of it, and its tracks in order."""

    row: int
    playlist_id: str
    name: str
    followers: str
    updated_at_ms: str
    track_ids: list[str]


Item = Cells | bytes | tuple[str, Any] | RowGroup | BadRow


@dataclass(frozen=True)
class Source:
    """A file to import.

    Attributes:
        topic: where its records go.
        total: rows, as near as line ends tell.
        items: reads the file from its start.
        convert: the record of one item that is no BadRow; raises RecordRefused.
    """

    topic: TopicSpec
    total: int
    items: Callable[[], Iterator[Item]]
    convert: Callable[[Any], CatalogueRecord]


class Letter(NamedTuple):
    """One Kafka record."""

    key: bytes
    value: bytes


def letter_of(source: Source, item: Item, updated_at_ms: int | None) -> Letter:
    """The Kafka record of an item; `updated_at_ms` stamps a record that has no stamp of its own.

    Raises:
        RecordRefused: the item breaks the contract; `reason` is fit to be counted.
    """
    if isinstance(item, BadRow):
        raise RecordRefused(item.reason, item.reason)
    record = source.convert(item)
    if updated_at_ms is not None and record.updated_at_ms is None:
        record = msgspec.structs.replace(record, updated_at_ms=updated_at_ms)
    try:
        value = encode(record)
    except RecordRefused as refusal:
        raise RecordRefused("record: text that is not UTF-8", str(refusal)) from refusal
    if len(value) > MAX_RECORD_BYTES:
        raise RecordRefused("record: too large", f"expected at most {MAX_RECORD_BYTES} bytes, got {len(value)}")
    return Letter(str(getattr(record, source.topic.key)).encode(), value)


def record_from(fields: dict[str, Any], record_type: type[R]) -> R:
    """A record from texts, each read as the contract's type for its field.

    Raises:
        RecordRefused: a field breaks the contract; `reason` names it and what was expected, never the value.
    """
    try:
        return msgspec.convert(fields, record_type, strict=False)
    except msgspec.ValidationError as error:
        raise RecordRefused(countable(str(error)), str(error)) from error


def countable(message: str) -> str:
    """A decoder's message with the field first, the same for all rows that share a fault."""
    found = _PLACE.match(message)
    what, where = (found["what"], found["where"]) if found else (message, None)
    if "matching regex" in what:
        what = "Expected YYYY, YYYY-MM or YYYY-MM-DD"
    field = re.sub(r"\[\d+\]", "[...]", where or "") or "record"
    return f"{field}: {what[:1].lower()}{what[1:]}".replace("`", "")


def rows_in(item: Item) -> int:
    """How many rows of the file an item stands for."""
    return len(item.track_ids) if isinstance(item, RowGroup) else 1


def row_of(item: Item, running: int) -> int:
    """The row of the file where an item begins; `running` where the item does not know."""
    return item.row if isinstance(item, RowGroup | BadRow) else running


def text_of(item: Item) -> str:
    """An item as it may be shown to who has to mend it."""
    if isinstance(item, BadRow):
        return item.text
    if isinstance(item, RowGroup):
        return f"playlist {item.playlist_id} ({len(item.track_ids)} tracks)"
    if isinstance(item, bytes):
        return item.decode(errors="backslashreplace")
    return csv_text(item) if isinstance(item, list) else msgspec.json.encode(dict([item])).decode()
