"""The collaborative tables in one file: what was learned, from which lists, and how far the log had been read.

A version is a file of safetensors, named for what is in it and written whole or not at all; `current` beside it names
the version that serves. The sha256 of the arrays stands in the header and is compared when the file is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

from models.bridge import Bridge
from models.co_listening import CoListening
from models.collaborative import Collaborative, Rows
from models.ease import Weights
from models.errors import CheckpointMismatch, UnknownVersion
from models.items import Items, keys_of
from models.prior import Prior

MODEL = "collaborative"
FORMAT = 1
CURRENT = "current"
# Versions that stay, for a rollback.
KEPT = 3

Arrays = dict[str, NDArray[Any]]
# Arrays of `Collaborative` as they are; the others are made of several.
PLAIN = ("artists", "numbers", "starts", "of_artist", "strength", "factors", "artist_sums", "artist_lists", "points")


@dataclass(frozen=True)
class Tables:
    """What answers are made from.

    Attributes:
        track_ids: of the rows, in the order of their keys (`ordered`).
        learned: of the same rows.
        prior: `None` when there were too few lists to learn it from.
        listeners: `None` when nobody's sessions were there to learn it from.
        manifest: `offsets` (topic -> partition -> the next to read), config, metrics, data and parents as a version of
            the registry tells them, and whatever else is to be known of them.
    """

    track_ids: Sequence[str]
    learned: Collaborative
    prior: Prior | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    listeners: CoListening | None = None

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Track id -> its row."""
        return {track_id: row for row, track_id in enumerate(self.track_ids)}

    def rows(self, track_ids: Sequence[str]) -> Rows:
        """(n,) rows of tracks, -1 for those that are not in the tables."""
        find = self.places.get
        return np.fromiter((find(track_id, -1) for track_id in track_ids), np.int64, len(track_ids))


def ordered(track_ids: Sequence[str]) -> Rows:
    """The places of track ids in the order in which tables hold them."""
    return np.argsort(keys_of(track_ids), kind="stable")


def save(tables: Tables, directory: Path) -> str:
    """Write a version and let it serve; the oldest versions go. Returns the version's name."""
    arrays = _arrays(tables)
    digest = _digest(arrays)
    version = digest[:12]
    manifest = {"model": MODEL, "format": FORMAT, "sha256": digest, **tables.manifest}
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{version}.safetensors"
    part = path.with_suffix(".part")
    save_file(arrays, part, {"manifest": json.dumps(manifest)})
    _settle(part, path)
    promote(directory, version)
    for old in [one for one in versions(directory) if one != version][KEPT - 1 :]:
        remove(directory, old)
    return version


def versions(directory: Path) -> list[str]:
    """Names of the versions that are there, the newest first."""
    found = sorted(directory.glob("*.safetensors"), key=lambda one: (-one.stat().st_mtime_ns, one.stem))
    return [one.stem for one in found]


def remove(directory: Path, version: str) -> None:
    """Delete a version's file."""
    (directory / f"{version}.safetensors").unlink(missing_ok=True)


def version_before(directory: Path) -> str:
    """The version that was made before the one that serves.

    Raises:
        UnknownVersion: there is none.
    """
    there, serving = versions(directory), current(directory)
    earlier = there[there.index(serving) + 1 :] if serving in there else []
    if not earlier:
        raise UnknownVersion(f"expected a version of {MODEL} in {directory} from before {serving or 'any'}, got none")
    return earlier[0]


def promote(directory: Path, version: str) -> None:
    """Let a version serve.

    Raises:
        CheckpointMismatch: there is no such version.
    """
    if not (directory / f"{version}.safetensors").exists():
        raise CheckpointMismatch(f"expected a version of {MODEL} in {directory}, got {version!r}")
    part = directory / f"{CURRENT}.part"
    part.write_text(version)
    _settle(part, directory / CURRENT)


def current(directory: Path) -> str | None:
    """The version that serves, `None` before the first."""
    try:
        return (directory / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None


def read_manifest(directory: Path, version: str) -> dict[str, Any]:
    """What a version says of itself, without reading its arrays.

    Raises:
        CheckpointMismatch: the file is damaged, or not of this kind.
    """
    path = directory / f"{version}.safetensors"
    try:
        with safe_open(path, "np") as file:
            manifest = json.loads((file.metadata() or {}).get("manifest", "null"))
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointMismatch(f"{path}: expected tables of {MODEL}, got {error}") from error
    if not isinstance(manifest, dict) or (manifest.get("model"), manifest.get("format")) != (MODEL, FORMAT):
        raise CheckpointMismatch(f"{path}: expected tables of {MODEL}, format {FORMAT}")
    return manifest


def load(directory: Path, version: str) -> Tables:
    """A version's tables.

    Raises:
        CheckpointMismatch: the file is damaged, or not of this kind; the message names it.
    """
    manifest = read_manifest(directory, version)
    path = directory / f"{version}.safetensors"
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        if _digest(arrays) != manifest.get("sha256"):
            raise CheckpointMismatch(f"{path}: expected the sha256 of its header, got another: it is damaged")
        return _tables(arrays, manifest, version)
    except (OSError, SafetensorError, KeyError, ValueError, IndexError) as error:
        raise CheckpointMismatch(f"{path}: expected tables of {MODEL}, got {error!r}") from error


def sizes(tables: Tables) -> dict[str, int]:
    """Bytes of every array."""
    return {name: array.nbytes for name, array in _arrays(tables).items()}


def _arrays(tables: Tables) -> Arrays:
    one = tables.learned
    ids = [track_id.encode() for track_id in tables.track_ids]
    arrays = {
        "id_bytes": np.frombuffer(b"".join(ids), np.uint8),
        "id_ends": np.cumsum(np.fromiter(map(len, ids), np.int64, len(ids))),
        "prior": np.frombuffer(tables.prior.text.encode() if tables.prior else b"", np.uint8),
        "list_tracks": one.lists.indices.astype(np.int32),
        "list_ends": one.lists.indptr.astype(np.int64),
        "related_columns": one.related.columns,
        "related_weights": one.related.weights,
        "bridge": one.bridge.weights,
        "bridge_evidence": np.array([one.bridge.evidence], np.float32),
        **_listeners_arrays(tables.listeners),
        **{f"item_{column.name}": getattr(one.items, column.name) for column in fields(Items)},
        **{name: getattr(one, name) for name in PLAIN},
    }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _tables(arrays: Arrays, manifest: Mapping[str, Any], version: str) -> Tables:
    blob, ends = arrays["id_bytes"].tobytes(), arrays["id_ends"].tolist()
    text = arrays["prior"].tobytes().decode()
    members, list_ends = arrays["list_tracks"], arrays["list_ends"]
    ones = np.ones(len(members), np.float32)
    learned = Collaborative(
        items=Items(*(arrays[f"item_{column.name}"] for column in fields(Items))),
        lists=csr_matrix((ones, members, list_ends), shape=(len(list_ends) - 1, len(ends))),
        related=Weights(arrays["related_columns"], arrays["related_weights"]),
        bridge=Bridge(arrays["bridge"], float(arrays["bridge_evidence"][0])),
        **{name: arrays[name] for name in PLAIN},
    )
    ids = [blob[start:end].decode() for start, end in zip([0, *ends][: len(ends)], ends, strict=True)]
    return Tables(ids, learned, Prior(text) if text else None, manifest, version, _listeners(arrays))


def _listeners_arrays(listeners: CoListening | None) -> Arrays:
    if listeners is None:
        return {}
    said = listeners.said
    return {
        "listeners_columns": said.indices.astype(np.int32),
        "listeners_ends": said.indptr.astype(np.int64),
        "listeners_weights": said.data,
    }


def _listeners(arrays: Arrays) -> CoListening | None:
    if "listeners_ends" not in arrays:
        return None
    ends = arrays["listeners_ends"]
    rows = len(ends) - 1
    parts = (arrays["listeners_weights"], arrays["listeners_columns"], ends)
    return CoListening(csr_matrix(parts, shape=(rows, rows)))


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(arrays[name].data if arrays[name].size else b"")
    return digest.hexdigest()


def _settle(part: Path, path: Path) -> None:
    """The file under its name, whole, also after a power loss."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
