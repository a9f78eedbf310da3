"""Playlists: rows of CSV, one a track, or JSON lines to records of `catalog.playlists`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from streams.importing.fields import Pick, column
from streams.importing.lines import record_of_line
from streams.importing.rows import BadRow, Cells, count_lines, csv_columns, csv_rows, csv_text, format_of, json_lines
from streams.importing.source import RowGroup, Source, record_from
from topics.errors import RecordRefused
from topics.records import Playlist
from topics.specs import CATALOG_PLAYLISTS

REQUIRED = ("playlist_id", "track_id")


def open_playlists(path: Path) -> Source:
    """A file of playlists; all rows of a CSV file are held in memory, since they may come in any order.

    Raises:
        FileUnreadable, ColumnsMissing: what their names say.
    """
    if format_of(path, ("csv", "jsonl")) == "jsonl":
        total, lines = count_lines(path, quoted_line_ends=False), partial(json_lines, path)
        return Source(CATALOG_PLAYLISTS, total, lines, partial(record_of_line, record_type=Playlist))
    columns = csv_columns(path, REQUIRED)
    total = count_lines(path, quoted_line_ends=True) - 1
    return Source(CATALOG_PLAYLISTS, total, partial(_items, path, columns), playlist_of)


def playlist_of(group: RowGroup) -> Playlist:
    """The playlist that rows make.

    Raises:
        RecordRefused: it breaks the contract.
    """
    known = {
        name: text for name in ("playlist_id", "name", "followers", "updated_at_ms") if (text := getattr(group, name))
    }
    return record_from({**known, "track_ids": group.track_ids}, Playlist)


@dataclass(frozen=True)
class Membership:
    """What one row says: that a track is in a playlist, and where.

    Attributes:
        edition: sets records of one playlist apart, of which the later replaces the earlier.
    """

    playlist_id: str
    track_id: str
    position: float
    name: str = ""
    followers: str = ""
    updated_at_ms: str = ""
    edition: str = ""


@dataclass
class _Growing:
    """A playlist while its rows are gathered: the first name and count, and the latest stamp, hold for all of it."""

    row: int
    playlist_id: str
    name: str = ""
    followers: str = ""
    updated_at_ms: str = ""
    tracks: list[tuple[float, str]] = field(default_factory=list)

    def add(self, member: Membership) -> None:
        self.tracks.append((member.position, member.track_id))
        self.name = self.name or member.name
        self.followers = self.followers or member.followers
        # Whole numbers in text: the longer is the greater.
        self.updated_at_ms = max(self.updated_at_ms, member.updated_at_ms, key=lambda text: (len(text), text))

    def group(self) -> RowGroup:
        # By position alone: rows that share one stay in the order of the file.
        track_ids = [track_id for _, track_id in sorted(self.tracks, key=lambda placed: placed[0])]
        return RowGroup(self.row, self.playlist_id, self.name, self.followers, self.updated_at_ms, track_ids)


def grouped(rows: Iterable[Cells | BadRow], read: Callable[[Cells], Membership]) -> tuple[list[BadRow], list[RowGroup]]:
    """Rows gathered by playlist, in order of each playlist's first row and sorted by position; and those refused.

    Args:
        rows: in any order.
        read: what a row says; raises RecordRefused.
    """
    refused: list[BadRow] = []
    growing: dict[tuple[str, str], _Growing] = {}
    for row, cells in enumerate(rows, 1):
        if isinstance(cells, BadRow):
            refused.append(cells)
            continue
        try:
            member = read(cells)
        except RecordRefused as refusal:
            refused.append(BadRow(row, refusal.reason, csv_text(cells)))
            continue
        key = (member.playlist_id, member.edition)
        growing.setdefault(key, _Growing(row, member.playlist_id)).add(member)
    return refused, [playlist.group() for playlist in growing.values()]


def membership_reader(columns: Sequence[str]) -> Callable[[Cells], Membership]:
    """What reads a row with these columns.

    Columns: `playlist_id`, `track_id`; and where present `playlist_name`, `position` (else the order of the file),
    `followers`, `updated_at_ms`. Others are ignored.
    """
    names = ("playlist_id", "track_id", "playlist_name", "followers", "updated_at_ms")
    playlist_id, track_id, name, followers, updated_at_ms = (column(columns, each) for each in names)
    position = column(columns, "position")

    def read(cells: Cells) -> Membership:
        return Membership(
            needed(playlist_id, cells, "playlist_id"),
            needed(track_id, cells, "track_id"),
            place(position(cells)),
            name(cells) or "",
            followers(cells) or "",
            updated_at_ms(cells) or "",
        )

    return read


def needed(pick: Pick, cells: Cells, name: str) -> str:
    """The cell of a column that may not be empty.

    Raises:
        RecordRefused: it is.
    """
    if cell := pick(cells):
        return cell
    raise RecordRefused(f"{name}: expected an id, got none", f"expected {name}, got an empty cell")


def place(text: str | None) -> float:
    """A position as a number; rows without one stay in the order of the file, after those that have one.

    Raises:
        RecordRefused: it is no number.
    """
    if text is None:
        return math.inf
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RecordRefused("position: expected a number", f"expected a number as position, got {text[:80]!r}")
    return number


def _items(path: Path, columns: list[str]) -> Iterator[BadRow | RowGroup]:
    refused, groups = grouped(csv_rows(path, len(columns)), membership_reader(columns))
    yield from refused
    yield from groups
