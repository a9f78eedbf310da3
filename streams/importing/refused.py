"""Rows that were not sent, on disk: one JSON object a line with `row`, `reason` and `line`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import msgspec

from streams.importing.errors import ProgressNotKept


class Refused(NamedTuple):
    """A row that was not sent. `rows`: how many it stands for."""

    row: int
    rows: int
    reason: str
    line: str


class RefusedFile:
    """Writes refused rows, or nothing when no path was given.

    Args:
        path: where; `None` = nowhere.
        go_on: keep what an interrupted import wrote.

    Raises:
        ProgressNotKept: the file cannot be written.
    """

    def __init__(self, path: Path | None, *, go_on: bool) -> None:
        self._file: IO[bytes] | None = None
        try:
            self._file = path.open("ab" if go_on else "wb") if path else None
        except OSError as error:
            raise ProgressNotKept(f"refused rows cannot be written to {path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file:
            self._file.close()

    def write(self, refused: Sequence[Refused]) -> None:
        """Add rows, down to the operating system.

        Raises:
            ProgressNotKept: the disk is full.
        """
        if not self._file:
            return
        try:
            self._file.writelines(_line(one) for one in refused)
            self._file.flush()
        except OSError as error:
            raise ProgressNotKept(f"refused rows cannot be written to {self._file.name}: {error}") from error


def _line(refused: Refused) -> bytes:
    # Bytes that were no UTF-8 are shown as \udcXX, not lost.
    shown = refused.line.encode(errors="backslashreplace").decode()
    return msgspec.json.encode({"row": refused.row, "reason": refused.reason, "line": shown}) + b"\n"
