"""Reads catalogue files row by row: CSV, JSON lines, one JSON object; each also gzipped.

Bytes that are no UTF-8 become lone surrogates, which the codec refuses: one bad row never stops a file.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import msgspec

from streams.importing.errors import ColumnsMissing, FileUnreadable
from streams.lines import LONGEST_LINE, bounded_lines, is_too_long

Cells = list[str]
FileFormat = Literal["csv", "jsonl", "json"]

_SUFFIXES: dict[str, FileFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
_BLOCK = 1 << 20
# One JSON object is read whole, and takes some ten times its size.
LARGEST_OBJECT = 256 * 1024 * 1024
TOO_LONG = f"a line of more than {LONGEST_LINE} characters"


class BadRow(NamedTuple):
    """A row that cannot be read; `row` counts from 1, without the header."""

    row: int
    reason: str
    text: str


def format_of(path: Path, allowed: Sequence[FileFormat]) -> FileFormat:
    """The format that a file's name ends with.

    Raises:
        FileUnreadable: another ending, or one that is not among `allowed`.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    found = _SUFFIXES.get(suffix)
    if found is None or found not in allowed:
        endings = ", ".join(f".{name}[.gz]" for name in allowed)
        raise FileUnreadable(f"expected a file that ends with one of {endings}, got {path.name}")
    return found


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one sentence what is wrong with a file.

    Raises:
        FileUnreadable: it is not there, may not be read, or its compressed data is damaged.
    """
    try:
        yield
    except FileNotFoundError:
        raise FileUnreadable(f"{path} does not exist") from None
    except (OSError, EOFError, zlib.error) as error:
        raise FileUnreadable(f"{path} cannot be read: {error}") from error


def open_bytes(path: Path) -> IO[bytes]:
    """A file's content, unpacked if its name ends with `.gz`."""
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def csv_columns(path: Path, required: Sequence[str]) -> list[str]:
    """The header of a CSV file.

    Raises:
        FileUnreadable: the file cannot be read or is empty.
        ColumnsMissing: `required` columns are not there; the message names them and those that are.
    """
    with reading(path), _open_text(path) as file:
        try:
            columns = next(csv.reader(_Lines(file)), None)
        except csv.Error as error:
            raise FileUnreadable(f"{path} has no readable header: {error}") from error
    if columns is None:
        raise FileUnreadable(f"{path} is empty: expected a header with the columns {', '.join(required)}")
    columns = [name.strip() for name in columns]
    if missing := [name for name in required if name not in columns]:
        raise ColumnsMissing(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(columns)[:500]}")
    return columns


def csv_rows(path: Path, columns: int) -> Iterator[Cells | BadRow]:
    """Every row after the header that is not blank, in the order of the file.

    Raises:
        FileUnreadable: the file ends early or is damaged; the rows before were given.
    """
    with reading(path), _open_text(path) as file:
        reader = csv.reader(_Lines(file))
        next(reader, None)
        for row, cells in enumerate(filter(_is_filled, _readable(reader)), 1):
            if isinstance(cells, str):
                yield BadRow(row, f"row: {cells}", "")
            elif len(cells) != columns:
                yield BadRow(row, "row: another number of columns than the header has", csv_text(cells))
            else:
                yield cells


def json_lines(path: Path) -> Iterator[bytes | BadRow]:
    """Every line that is not blank.

    Raises:
        FileUnreadable: the file ends early or is damaged.
    """
    with reading(path), open_bytes(path) as file:
        for row, line in enumerate(filter(bytes.strip, bounded_lines(file)), 1):
            yield BadRow(row, f"row: {TOO_LONG}", "") if is_too_long(line) else line.strip()


def json_members(path: Path) -> list[tuple[str, Any]]:
    """The members of the one JSON object in a file.

    Raises:
        FileUnreadable: the file holds something else.
    """
    with reading(path), open_bytes(path) as file:
        content = file.read(LARGEST_OBJECT + 1)
    if len(content) > LARGEST_OBJECT:
        raise FileUnreadable(f"{path} has more than {LARGEST_OBJECT} bytes: write it as .jsonl, one record a line")
    try:
        return list(msgspec.json.decode(content, type=dict[str, Any]).items())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileUnreadable(f"{path}: expected one JSON object, got {error}") from error


def count_lines(path: Path, *, quoted_line_ends: bool) -> int:
    """How many lines a file has, at about 300 MB a second.

    Args:
        path: the file.
        quoted_line_ends: a line end between quotes does not count, as in CSV.
    """
    count: Callable[[bytes, bool], tuple[int, bool]] = _count_unquoted if quoted_line_ends else _count_all
    lines, quoted, last = 0, False, b"\n"
    with reading(path), open_bytes(path) as file:
        while block := file.read(_BLOCK):
            more, quoted = count(block, quoted)
            lines, last = lines + more, block[-1:]
    return lines + (last != b"\n")


def csv_text(cells: Sequence[str]) -> str:
    """A row as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


class _Lines:
    """Lines for Python's CSV reader, which takes what is raised here for a fault of the row, and goes on."""

    def __init__(self, file: IO[str]) -> None:
        self._lines = bounded_lines(file)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if is_too_long(line):
            raise csv.Error(TOO_LONG)
        return line


def _open_text(path: Path) -> IO[str]:
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="surrogateescape", newline="")


def _readable(reader: Iterator[Cells]) -> Iterator[Cells | str]:
    """The reader's rows, and what it says of those that it cannot take apart."""
    while True:
        try:
            yield from reader
        except csv.Error as error:
            yield str(error)
        else:
            return


def _is_filled(cells: Cells | str) -> bool:
    return bool(cells)


def _count_all(block: bytes, _quoted: bool) -> tuple[int, bool]:
    return block.count(b"\n"), False


def _count_unquoted(block: bytes, quoted: bool) -> tuple[int, bool]:
    lines = 0
    for part in block.split(b'"'):
        lines += 0 if quoted else part.count(b"\n")
        quoted = not quoted
    return lines, not quoted
