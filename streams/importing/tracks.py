"""Tracks: rows of CSV or JSON lines to records of `catalog.tracks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from streams.importing.fields import column, listed, present
from streams.importing.lines import record_of_line
from streams.importing.rows import Cells, count_lines, csv_columns, csv_rows, format_of, json_lines
from streams.importing.source import Source, record_from
from topics.records import Features, Track
from topics.specs import CATALOG_TRACKS

REQUIRED = ("track_id", "title")
_PLAIN = ("isrc", "duration_ms", "popularity", "explicit", "updated_at_ms")
_ALBUM = ("album_id", "release_date")


def open_tracks(path: Path) -> Source:
    """A file of tracks.

    Raises:
        FileUnreadable, ColumnsMissing: what their names say.
    """
    if format_of(path, ("csv", "jsonl")) == "jsonl":
        total = count_lines(path, quoted_line_ends=False)
        return Source(CATALOG_TRACKS, total, partial(json_lines, path), partial(record_of_line, record_type=Track))
    columns = csv_columns(path, REQUIRED)
    total = count_lines(path, quoted_line_ends=True) - 1
    return Source(CATALOG_TRACKS, total, partial(csv_rows, path, len(columns)), track_converter(columns))


def track_converter(columns: Sequence[str]) -> Callable[[Cells], Track]:
    """What makes a track of a row with these columns.

    Columns: `track_id`, `title`; and where present `artist_id`, `artist_name`, `album_id`, `album_name`,
    `release_date`, `popularity`, `explicit`, `duration_ms`, `isrc`, `updated_at_ms`, the features by their names, and
    the `;`-separated `genres` and `markets`. Others are ignored. One row holds one artist: its name may be several
    joined by the source, which cannot be told apart safely.
    """
    track_id, title = columns.index("track_id"), columns.index("title")
    plain, album, features = (present(columns, names) for names in (_PLAIN, _ALBUM, Features.__struct_fields__))
    genres, markets, album_name = (column(columns, name) for name in ("genres", "markets", "album_name"))
    artist_id, artist_name = column(columns, "artist_id"), column(columns, "artist_name")

    def convert(cells: Cells) -> Track:
        fields: dict[str, Any] = {name: cell for name, index in plain if (cell := cells[index])}
        fields["track_id"], fields["title"] = cells[track_id], cells[title]
        fields["artists"] = _without_unknown({"artist_id": artist_id(cells), "name": artist_name(cells)})
        release = {name: cell for name, index in album if (cell := cells[index])}
        if name := album_name(cells):
            release["name"] = name
        fields["album"] = release or None
        fields["features"] = {name: cell for name, index in features if (cell := cells[index])} or None
        fields["genres"], fields["markets"] = listed(genres(cells)), listed(markets(cells))
        return record_from(fields, Track)

    return convert


def _without_unknown(artist: dict[str, str | None]) -> list[dict[str, str | None]]:
    return [artist] if any(artist.values()) else []
