"""JSON lines: one record of the contract a line."""

from __future__ import annotations

from streams.importing.source import R, countable
from topics.codec import decode
from topics.errors import RecordRefused


def record_of_line(line: bytes, record_type: type[R]) -> R:
    """The record in a line.

    Raises:
        RecordRefused: it is no JSON, or breaks the contract; `reason` is fit to be counted.
    """
    try:
        return decode(line, record_type)
    except RecordRefused as refusal:
        reason = countable(str(refusal)) if refusal.reason == "invalid" else f"record: {refusal.reason}"
        raise RecordRefused(reason, str(refusal)) from refusal
