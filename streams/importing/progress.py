"""What an import has done so far: kept on disk, so that an interrupted import goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct, field

from streams.importing.errors import ProgressNotKept
from streams.importing.rows import reading


class ImportState(Struct, kw_only=True):
    """What was acknowledged by the broker or refused, from the start of the file.

    Attributes:
        file: the file, for who looks at the state.
        items: items done, counted from the start of the file.
        rows: rows that these items stand for.
        sent: records that the broker acknowledged.
        refused: rows by the reason why they were not sent.
        updated_at_ms: stamp of the records that have none of their own.
        finished: the whole file is done.
    """

    file: str
    items: int = 0
    rows: int = 0
    sent: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    updated_at_ms: int | None = None
    finished: bool = False

    @property
    def refused_rows(self) -> int:
        """All rows that were refused."""
        return sum(self.refused.values())

    def refuse(self, reasons: Counter[str]) -> None:
        """Count refused rows by reason."""
        for reason, rows in reasons.items():
            self.refused[reason] = self.refused.get(reason, 0) + rows


def state_path(data_dir: Path, file: Path, *identity: str) -> Path:
    """Where the state of an import is kept: another name for another content, place or destination.

    Args:
        data_dir: the installation's.
        file: what is imported; its path, size and time of change count.
        identity: what else makes an import another one: the topic by its name and by the broker's id of it, since a
            topic that was made anew holds nothing of the file; and the stamp.

    Raises:
        FileUnreadable: the file is not there.
    """
    with reading(file):
        found = file.stat()
    parts = [str(file.resolve()), found.st_size, found.st_mtime_ns, *identity]
    return data_dir / "imports" / f"{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()}.json"


def load_state(path: Path) -> ImportState | None:
    """The state that an earlier run left, or `None`.

    A state that does not decode was cut off by a loss of power: it counts as none, since sending again does no harm.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=ImportState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    except OSError as error:
        raise ProgressNotKept(f"{path} cannot be read: {error}") from error


def save_state(path: Path, state: ImportState) -> None:
    """Replace the state on disk as a whole.

    Raises:
        ProgressNotKept: the directory cannot be written.
    """
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.replace(path)
    except OSError as error:
        raise ProgressNotKept(f"the progress of the import cannot be kept in {path.parent}: {error}") from error


def drop_state(path: Path) -> None:
    """Forget an import.

    Raises:
        ProgressNotKept: the directory cannot be written.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ProgressNotKept(f"{path} cannot be removed: {error}") from error
