"""Versions of every model in one directory: their files, and what each was made of and is worth.

<root>/<model>/<version>/manifest.json   model, version, sha256 of each file, config, metrics, data, offsets, parents
<root>/<model>/<version>/…               the files, as whoever trains the model writes them

A version is there whole or not at all: its directory is made under another name and renamed. It is never changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import UnknownVersion, VersionDamaged

MANIFEST = "manifest.json"
# What a version may tell of itself, beside names and sums; whatever is not known is null.
TOLD = ("config", "metrics", "data", "offsets", "parents")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class StoredVersion:
    """One version of a model.

    Attributes:
        created_at_ms: when it was added, UTC milliseconds.
        files: name -> sha256.
        told: config, metrics, data (its fingerprint), offsets (of the log that it has absorbed) and parents (versions
            of models that it was made with), each null where nobody said.
    """

    model: str
    version: str
    directory: Path
    created_at_ms: int
    files: Mapping[str, str]
    told: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        """Its file of weights: the first that is no JSON."""
        return self.directory / next(name for name in self.files if not name.endswith(".json"))

    @property
    def size_bytes(self) -> int:
        """What its files take."""
        return sum((self.directory / name).stat().st_size for name in self.files)

    def check(self) -> None:
        """Compare its files with their sums.

        Raises:
            VersionDamaged: one of them is not what was added; says which.
        """
        for name, expected in self.files.items():
            path = self.directory / name
            if not path.exists():
                raise VersionDamaged(f"{path}: expected a file of {self.model} {self.version}, got none")
            if (got := _sha256(path)) != expected:
                raise VersionDamaged(f"{path}: expected sha256 {expected}, got {got}: it is damaged or another file")


class Registry:
    """The versions under one directory, which may be shared by several machines."""

    def __init__(self, root: Path) -> None:
        """`root` is made when something is added."""
        self._root = root

    def add(self, model: str, version: str, files: Sequence[Path], told: Mapping[str, Any]) -> StoredVersion:
        """Copy a version's files; one that is there already stays as it is.

        Args:
            model: name, such as `embeat_mlp`.
            version: unique among the model's.
            files: the weights first.
            told: of `TOLD`, what is known.

        Raises:
            ValueError: a name cannot be a directory's.
        """
        for name in (model, version):
            if not _NAME.fullmatch(name):
                raise ValueError(f"expected a name of a-z, A-Z, 0-9, '.', '_' and '-', got {name!r}")
        directory = self._root / model / version
        if directory.exists():
            return _read(directory)
        draft = directory.with_name(f".{version}.{uuid.uuid4().hex}")
        draft.mkdir(parents=True)
        try:
            for path in files:
                shutil.copyfile(path, draft / path.name)
            manifest = {
                "model": model,
                "version": version,
                "created_at_ms": int(time.time() * 1000),
                "files": {path.name: _sha256(draft / path.name) for path in files},
                **{name: told.get(name) for name in TOLD},
            }
            (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n")
            _to_disk(draft)
            _rename(draft, directory)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return _read(directory)

    def find(self, model: str, version: str) -> StoredVersion:
        """A version, whose files are what was added.

        Raises:
            UnknownVersion: there is none; says which there are.
            VersionDamaged: a file is missing, or is another.
        """
        directory = self._root / model / version
        if not _NAME.fullmatch(version) or not directory.is_dir():
            there = ", ".join(one.version for one in self.versions(model)) or "none"
            raise UnknownVersion(f"expected a version of {model} in {self._root}, got {version!r}; there: {there}")
        found = _read(directory)
        found.check()
        return found

    def versions(self, model: str | None = None) -> list[StoredVersion]:
        """All versions of a model, or of all, the newest first; those whose manifest cannot be read are left out."""
        directories = [path for path in self._root.glob(f"{model or '*'}/*") if _NAME.fullmatch(path.name)]
        found = []
        for directory in directories:
            try:
                found.append(_read(directory))
            except VersionDamaged:
                continue
        return sorted(found, key=lambda one: (one.model, -one.created_at_ms, one.version))

    def remove(self, model: str, version: str) -> None:
        """Delete a version's files."""
        directory = self._root / model / version
        gone = directory.with_name(f".{version}.{uuid.uuid4().hex}")
        directory.rename(gone)
        shutil.rmtree(gone)


def _read(directory: Path) -> StoredVersion:
    path = directory / MANIFEST
    try:
        found = json.loads(path.read_bytes())
        stored = StoredVersion(
            model=found["model"],
            version=found["version"],
            directory=directory,
            created_at_ms=int(found["created_at_ms"]),
            files={str(name): str(sum_) for name, sum_ in found["files"].items()},
            told={name: found.get(name) for name in TOLD},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VersionDamaged(f"{path}: expected a manifest, got {type(error).__name__}: {error}") from error
    if (stored.model, stored.version) != (directory.parent.name, directory.name):
        raise VersionDamaged(f"{path}: expected that of {directory.parent.name} {directory.name}, got another's")
    return stored


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(directory: Path) -> None:
    for path in (*directory.iterdir(), directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _rename(draft: Path, directory: Path) -> None:
    try:
        draft.rename(directory)
    except OSError:
        # Somebody else added it meanwhile.
        if not directory.exists():
            raise
