"""The stamp of records that have none: `now`, a date or time, or milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.importing.errors import TimeUnreadable


def stamp_ms(text: str, now_ms: int) -> int:
    """UTC milliseconds of `now`, of whole milliseconds, or of an ISO 8601 date or time (UTC unless it says otherwise).

    Raises:
        TimeUnreadable: it is none of them, or before 1970.
    """
    if text == "now":
        return now_ms
    try:
        found = int(text) if text.isascii() and text.isdigit() and len(text) != 8 else _iso_ms(text)
    except ValueError:
        raise TimeUnreadable(
            f"expected now, milliseconds or a time as 2024-05-17T09:30:00Z, got {text[:80]!r}"
        ) from None
    if found < 0:
        raise TimeUnreadable(f"expected a time from 1970 on, got {text!r}")
    return found


def _iso_ms(text: str) -> int:
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
