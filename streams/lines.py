"""Lines of files that anybody may have written: none is ever held whole that is longer than any record could be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, AnyStr

# Twice what a record may have: white space and the escapes of CSV take room, too.
LONGEST_LINE = 2 * 1024 * 1024
_BLOCK = 1 << 20


def bounded_lines(file: IO[AnyStr]) -> Iterator[AnyStr]:
    """Every line of the file with its end; of one that `is_too_long` only the beginning."""
    while line := file.readline(LONGEST_LINE + 1):
        rest = line
        while is_too_long(line) and rest and not _has_end(rest):
            rest = file.readline(_BLOCK)
        yield line


def is_too_long(line: str | bytes) -> bool:
    """Whether there was more of the line than is ever read."""
    return len(line) > LONGEST_LINE and not _has_end(line)


def _has_end(line: str | bytes) -> bool:
    return line.endswith(("\n", "\r")) if isinstance(line, str) else line.endswith(b"\n")
