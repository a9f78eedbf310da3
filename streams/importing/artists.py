"""Artists: a JSON object, rows of CSV or JSON lines to records of `catalog.artists`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from streams.importing.fields import column, listed, present
from streams.importing.lines import record_of_line
from streams.importing.rows import Cells, count_lines, csv_columns, csv_rows, format_of, json_lines, json_members
from streams.importing.source import Source, record_from
from topics.records import Artist
from topics.specs import CATALOG_ARTISTS

REQUIRED = ("artist_id",)
_PLAIN = ("name", "popularity", "updated_at_ms")


def open_artists(path: Path) -> Source:
    """A file of artists.

    Raises:
        FileUnreadable, ColumnsMissing: what their names say.
    """
    file_format = format_of(path, ("csv", "jsonl", "json"))
    if file_format == "json":
        members = json_members(path)
        return Source(CATALOG_ARTISTS, len(members), lambda: iter(members), artist_of_member)
    if file_format == "jsonl":
        total = count_lines(path, quoted_line_ends=False)
        return Source(CATALOG_ARTISTS, total, partial(json_lines, path), partial(record_of_line, record_type=Artist))
    columns = csv_columns(path, REQUIRED)
    total = count_lines(path, quoted_line_ends=True) - 1
    return Source(CATALOG_ARTISTS, total, partial(csv_rows, path, len(columns)), artist_converter(columns))


def artist_of_member(member: tuple[str, Any]) -> Artist:
    """An artist from `"id": [genres]`, or from `"id": {"name": …, "genres": […]}` and what else the contract knows.

    Raises:
        RecordRefused: it breaks the contract.
    """
    artist_id, said = member
    fields = said if isinstance(said, dict) else {"genres": said}
    return record_from({**fields, "artist_id": artist_id}, Artist)


def artist_converter(columns: Sequence[str]) -> Callable[[Cells], Artist]:
    """What makes an artist of a row with these columns.

    Columns: `artist_id`; and where present `name`, `popularity`, `updated_at_ms`, and the `;`-separated `genres` and
    `related`. Others are ignored.
    """
    artist_id, plain = columns.index("artist_id"), present(columns, _PLAIN)
    genres, related = column(columns, "genres"), column(columns, "related")

    def convert(cells: Cells) -> Artist:
        fields: dict[str, Any] = {name: cell for name, index in plain if (cell := cells[index])}
        fields["artist_id"] = cells[artist_id]
        lists = {"genres": listed(genres(cells)), "related": listed(related(cells))}
        return record_from(fields | lists, Artist)

    return convert
