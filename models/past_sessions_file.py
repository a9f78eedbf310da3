"""Past sessions in one file, with how far the log had been read: together, so that nothing counts twice.

The file is written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.errors import CheckpointMismatch
from models.past_sessions import PastSessions, PastSessionsConfig

# Partition -> the next to read.
Offsets = dict[int, int]


def save(path: Path, sessions: PastSessions, offsets: Mapping[int, int]) -> None:
    """Write everything that is held, and up to which offset it was read."""
    arrays, said = sessions.arrays()
    told = msgspec.json.encode({**said, "offsets": offsets})
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({**arrays, "said": np.frombuffer(told, np.uint8)}, part)
    os.replace(part, path)


def load(path: Path, config: PastSessionsConfig) -> tuple[PastSessions, Offsets]:
    """What was saved, and where to go on reading.

    Raises:
        FileNotFoundError: nothing was.
        CheckpointMismatch: the file is damaged, or holds sessions of another configuration.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        arrays = load_file(path)
        said = msgspec.json.decode(arrays.pop("said").tobytes())
        offsets = {int(partition): int(offset) for partition, offset in said["offsets"].items()}
        return PastSessions.restored(config, arrays, said), offsets
    except (SafetensorError, msgspec.DecodeError, KeyError, ValueError, OSError) as error:
        raise CheckpointMismatch(f"{path}: expected past sessions, got {error!r}") from error
