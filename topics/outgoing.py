"""What is checked before a record leaves: the same that its reader will check, so that no dead letter is made."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from topics.codec import decode, encode
from topics.errors import RecordRefused
from topics.records import Record
from topics.specs import TopicSpec


def key_of(spec: TopicSpec, record: Record) -> str | None:
    """The id that a record's topic names as its key; an anonymous person's is the request."""
    own: str | None = getattr(record, spec.key, None)
    return own if own is not None else getattr(record, "request_id", None)


def checked_bytes(spec: TopicSpec, record: Record) -> bytes:
    """The record as JSON, after the checks that its reader will make.

    Raises:
        RecordRefused: it would become a dead letter, or say something else than the caller meant.
    """
    if spec.record_type is not None and not isinstance(record, spec.record_type):
        raise RecordRefused("invalid", f"{spec.name}: expected a {spec.record_type.__name__}, got {record!r:.200}")
    value = encode(record)
    read = decode(value, type(record))
    # JSON has no NaN: it is written as null, which would silently mean "unknown". A NaN never equals what was read.
    if read != record and not _finite(msgspec.to_builtins(record)):
        raise RecordRefused("invalid", f"{spec.name}: expected finite numbers, got {record!r:.200}")
    return value


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_finite(one) for one in value.values())
    return not isinstance(value, list | tuple) or all(_finite(one) for one in value)
