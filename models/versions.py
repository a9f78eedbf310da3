"""Which version of the embedding serves, told from its file without loading it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from models.errors import CheckpointMismatch

SHIPPED = Path(__file__).parent / "weights" / "embeat_mlp_sample.safetensors"


def checkpoint_path(checkpoint: str | Path | None) -> Path:
    """The file of weights: the one given, else the one that ships with the project."""
    return Path(checkpoint) if checkpoint else SHIPPED


@cache
def checkpoint_version(checkpoint: str | Path | None) -> str:
    """Name of a version: the file's own, without `embeat_mlp_`, and the beginning of its sha256.

    Raises:
        CheckpointMismatch: there is no such file.
    """
    path = checkpoint_path(checkpoint)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointMismatch(f"expected weights in {path}, got {error.strerror or error}") from error
    return f"{path.stem.removeprefix('embeat_mlp_')}-{digest[:8]}"
