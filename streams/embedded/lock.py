"""One process at a time on a data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.embedded.errors import DataDirectoryInUse


@contextmanager
def data_directory(data_dir: Path) -> Iterator[Path]:
    """Hold a data directory, made if need be, for this process alone.

    The lock ends with the process however it dies, so a file that is left behind locks nobody out.

    Raises:
        DataDirectoryInUse: another process holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataDirectoryInUse(data_dir, _holder(data_dir / "lock")) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield data_dir


def _holder(lock_path: Path) -> int | None:
    text = lock_path.read_text().strip()
    return int(text) if text.isdecimal() else None
