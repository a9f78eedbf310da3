"""A Track2Vec in one file: vectors of both sides, the lists it counts, and how far it has come; whole or not at all.

The file is safetensors; its metadata hold a manifest with the sha256 of all arrays. Counts are not stored: they are
what the lists say.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.errors import CheckpointMismatch
from models.lists import Listed
from models.track2vec import Config, Track2Vec

MODEL = "track2vec"
Arrays = Mapping[str, NDArray[Any]]
# The arrays that are what it has learned from.
TAUGHT = ("track_ids", "list_keys", "list_rows", "list_ends")


def save(model: Track2Vec, path: Path, manifest: Mapping[str, Any]) -> None:
    """Write the model and its manifest, so that a crash at any moment leaves the file that was there, or this one."""
    arrays = arrays_of(model)
    own = {
        "model": MODEL,
        "config": asdict(model.config),
        "seed": model.seed,
        "offsets": [[topic, partition, offset] for (topic, partition), offset in sorted(model.offsets.items())],
        "sha256": digest_of(arrays),
        "lists": len(model.lists),
        "tracks": len(model.track_ids),
        "fingerprint": digest_of({name: arrays[name] for name in TAUGHT}),
    }
    text = json.dumps({**manifest, **own}, sort_keys=True, allow_nan=False)
    draft = path.with_name(path.name + ".new")
    save_file(dict(arrays), draft, metadata={"manifest": text})
    _force(draft)
    os.replace(draft, path)
    _force(path.parent)


def load(path: Path) -> tuple[Track2Vec, Mapping[str, Any]]:
    """The model in a file, and its manifest.

    Raises:
        CheckpointMismatch: there is no such file, it is damaged, or it holds another model.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            manifest = json.loads((file.metadata() or {}).get("manifest", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if manifest.get("model") != MODEL:
            raise ValueError(f"expected a file of {MODEL}, got one of {manifest.get('model')}")
        if manifest["sha256"] != digest_of(arrays):
            raise ValueError("its arrays are not those that its manifest tells of")
        return _model(manifest, arrays), manifest
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, msgspec.DecodeError) as error:
        raise CheckpointMismatch(f"{path}: {error}") from error


def read_manifest(path: Path) -> dict[str, Any]:
    """What a file says of itself, without reading its arrays.

    Raises:
        CheckpointMismatch: there is no such file, it is damaged, or it holds another model.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            manifest = json.loads((file.metadata() or {}).get("manifest", "{}"))
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointMismatch(f"{path}: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("model") != MODEL:
        raise CheckpointMismatch(f"{path}: expected a file of {MODEL}")
    return manifest


def arrays_of(model: Track2Vec) -> Arrays:
    """What is stored, by name; text as msgpack in bytes."""
    lists = sorted(model.lists, key=lambda one: one.key)
    return {
        "vectors": model.skipgram.vectors,
        "contexts": model.skipgram.contexts,
        "anchors": model.anchors.upto(model.skipgram.size),
        "track_ids": _packed(model.track_ids),
        "list_keys": _packed([one.key for one in lists]),
        "list_stamps": np.array([one.updated_at_ms for one in lists], np.int64),
        **_joined([one.rows for one in lists]),
        "due_keys": _packed(list(model.due)),
        "due_passes": np.array(list(model.due.values()), np.int32),
        "sessions": _packed(list(model.sessions)),
    }


def digest_of(arrays: Arrays) -> str:
    """sha256 over the names, shapes and contents of arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape};".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()


def _model(manifest: Mapping[str, Any], arrays: Arrays) -> Track2Vec:
    config = Config(**manifest["config"])
    model = Track2Vec(config, manifest["seed"])
    track_ids = _unpacked(arrays["track_ids"])
    for name in ("vectors", "contexts", "anchors"):
        expected = len(track_ids), config.dimensions
        if arrays[name].shape != expected or not np.isfinite(arrays[name]).all():
            raise ValueError(f"expected {name} of shape {expected}, finite, got {arrays[name].shape}, or not finite")
    model.add(track_ids, arrays["vectors"], arrays["contexts"])
    model.anchors.put(np.arange(model.skipgram.size, dtype=np.int32), arrays["anchors"])
    model.sessions.extend(_unpacked(arrays["sessions"]))
    keys, stamps = _unpacked(arrays["list_keys"]), arrays["list_stamps"].tolist()
    for key, rows, stamp in zip(keys, _parts(arrays), stamps, strict=True):
        model.lists.put(Listed(key, rows, stamp))
        model.skipgram.counts[rows] += 1
    model.due = dict(zip(_unpacked(arrays["due_keys"]), arrays["due_passes"].tolist(), strict=True))
    model.offsets = {(topic, partition): offset for topic, partition, offset in manifest["offsets"]}
    return model


def _packed(texts: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer(msgspec.msgpack.encode(texts), np.uint8)


def _unpacked(array: NDArray[Any]) -> list[str]:
    return msgspec.msgpack.decode(array.tobytes(), type=list[str])


def _joined(parts: list[NDArray[np.int32]]) -> Arrays:
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return {"list_rows": np.concatenate([*parts, np.zeros(0, np.int32)]), "list_ends": ends}


def _parts(arrays: Arrays) -> list[NDArray[np.int32]]:
    ends = arrays["list_ends"]
    # Copies: a view would keep all of them for as long as one is held.
    return [part.copy() for part in np.split(arrays["list_rows"], ends[:-1])] if len(ends) else []


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
