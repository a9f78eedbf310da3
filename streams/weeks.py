"""Weeks of the calendar, and how many of the lists of the weeks before matter."""

from __future__ import annotations

from datetime import UTC, datetime

from topics.records import EarlierWeek, WeeklyPlaylist

# What a list of these many weeks before held is in none of this week's.
WEEKS_KEPT = 12
WEEK_MS = 7 * 86_400_000


def week_of(at_ms: int) -> str:
    """The ISO week of a time in UTC; the later of two weeks is the greater text.

    >>> week_of(1_767_225_600_000)  # 1 January 2026
    '2026-W01'
    """
    year, week, _ = datetime.fromtimestamp(at_ms / 1000, UTC).isocalendar()
    return f"{year}-W{week:02d}"


def oldest_kept(now_ms: int) -> str:
    """The first week whose list still matters.

    >>> oldest_kept(1_767_225_600_000)
    '2025-W41'
    """
    return week_of(now_ms - WEEKS_KEPT * WEEK_MS)


def lists_in(record: WeeklyPlaylist) -> tuple[EarlierWeek, ...]:
    """The list that a record is, and those before it, the latest first."""
    own = EarlierWeek(week=record.week, track_ids=tuple(item.track_id for item in record.items))
    return (own, *record.earlier)
