"""Charts: each day's chart becomes the playlist `chart:<name>`, day after day, as a stream of catalogue updates.

A chart's rows also tell a track's popularity, but no more of it; a track's record replaces all that is known of the
track, so none is sent from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from streams.importing.fields import column
from streams.importing.playlists import Membership, grouped, needed, place, playlist_of
from streams.importing.rows import BadRow, Cells, count_lines, csv_columns, csv_rows, format_of
from streams.importing.source import RowGroup, Source
from topics.errors import RecordRefused
from topics.specs import CATALOG_PLAYLISTS

REQUIRED = ("day", "chart", "track_id")


def open_charts(path: Path) -> Source:
    """A file of charts; all rows are held in memory, since they may come in any order.

    Raises:
        FileUnreadable, ColumnsMissing: what their names say.
    """
    format_of(path, ("csv",))
    columns = csv_columns(path, REQUIRED)
    total = count_lines(path, quoted_line_ends=True) - 1
    return Source(CATALOG_PLAYLISTS, total, partial(_items, path, columns), playlist_of)


def chart_reader(columns: Sequence[str]) -> Callable[[Cells], Membership]:
    """What reads a row with the columns `day`, `chart`, `track_id` and, where present, `position`."""
    day, chart, track_id, position = (column(columns, name) for name in (*REQUIRED, "position"))

    def read(cells: Cells) -> Membership:
        name, starts_ms = needed(chart, cells, "chart"), str(day_ms(needed(day, cells, "day")))
        return Membership(
            f"chart:{name}",
            needed(track_id, cells, "track_id"),
            place(position(cells)),
            name=name,
            updated_at_ms=starts_ms,
            edition=starts_ms,
        )

    return read


def day_ms(day: str) -> int:
    """The start of a day, UTC.

    Raises:
        RecordRefused: it is no `YYYY-MM-DD`.
    """
    try:
        return round(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise RecordRefused("day: expected YYYY-MM-DD", f"expected a day as YYYY-MM-DD, got {day[:80]!r}") from None


def _items(path: Path, columns: list[str]) -> Iterator[BadRow | RowGroup]:
    refused, groups = grouped(csv_rows(path, len(columns)), chart_reader(columns))
    yield from refused
    yield from sorted(groups, key=lambda group: int(group.updated_at_ms))
