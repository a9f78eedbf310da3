"""Which version of the embedding serves, told from its file without loading it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from models.errors import CheckpointMismatch

SHIPPED = Path(__file__).parent / "weights" / "embeat_mlp_2026.safetensors"


def checkpoint_path(checkpoint: str | Path | None) -> Path:
    """The file of weights: the one given, else the one that ships with the project."""
    return Path(checkpoint) if checkpoint else SHIPPED


def checkpoint_version(checkpoint: str | Path | None) -> str:
    """Name of a version: the file's own, without the model's, and the beginning of its sha256.

    Raises:
        CheckpointMismatch: there is no such file.
    """
    path = checkpoint_path(checkpoint)
    return version_of(path, read_weights(path))


def version_of(path: Path, content: bytes) -> str:
    """As `checkpoint_version`, of a file that has been read.

    >>> version_of(Path("embeat_mlp_tiny.safetensors"), b"")
    'tiny-e3b0c442'
    """
    name = path.stem.removeprefix("embeat_mlp_").removeprefix("track2vec_")
    return f"{name}-{hashlib.sha256(content).hexdigest()[:8]}"


def read_weights(path: Path) -> bytes:
    """A file's content, read once: what is named is what is loaded.

    Raises:
        CheckpointMismatch: there is no such file.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointMismatch(f"expected weights in {path}, got {error.strerror or error}") from error
