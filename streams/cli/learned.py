"""Versions of what is learned in the data directory, for `throughbeat models`: collaborative tables, and Track2Vec."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models import tables
from models.errors import CheckpointMismatch, UnknownVersion
from models.track2vec_file import MODEL as TRACK2VEC
from models.track2vec_file import load as load_track2vec
from models.track2vec_file import read_manifest as read_track2vec
from models.track2vec_state import FILE
from streams.catching_up import until_served
from streams.errors import NothingToGoBackTo, NotPromoted
from streams.learner import NOTHING, base_of, learned_in
from streams.refreshing import directory_of
from streams.settings import Settings

# The bridge and the prior are parts of the tables, and serve with them.
NAMES = {tables.MODEL: tables.MODEL, "bridge": tables.MODEL, "prior": tables.MODEL, TRACK2VEC: TRACK2VEC}


def rows(settings: Settings, model: str | None) -> list[dict[str, Any]]:
    """Every version of a model, or of both, the newest first; one that cannot be read is told as damaged."""
    wanted = NAMES.values() if model is None else (NAMES[model],)
    found = list(_tables(settings)) if tables.MODEL in wanted else []
    return found + (list(_grown(settings)) if TRACK2VEC in wanted else [])


def show(settings: Settings, model: str, version: str | None) -> dict[str, Any]:
    """What a version was made of and is worth, once its arrays are known to be those that it was saved with.

    Raises:
        UnknownVersion: there is none; says which there are.
        CheckpointMismatch: its file is damaged; names it.
    """
    there = rows(settings, model)
    row = next((one for one in there if one["version"] == version or (not version and one["state"] == "serves")), None)
    if row is None:
        names = ", ".join(one["version"] for one in there) or "none"
        raise UnknownVersion(
            f"expected a version of {NAMES[model]}, got {version or 'none that serves'}; there: {names}"
        )
    path = Path(row.pop("path"))
    if NAMES[model] == tables.MODEL:
        manifest = dict(tables.load(path.parent, row["version"]).manifest)
        return {**row, "files": {path.name: manifest["sha256"]}, **_told(manifest)}
    return {**row, **_told_of_grown(load_track2vec(path)[1], path)}


def promote(settings: Settings, model: str, version: str, within_s: float) -> str:
    """Let a version of the tables serve, whose file is whole; returns its name once answers use it.

    Raises:
        CheckpointMismatch: there is no such version, or its file is damaged; names it.
        NotPromoted: the model has no versions to choose from.
        NotCaughtUp: answers do not use it in time.
    """
    _require_versions(model)
    directory = directory_of(settings)
    if version not in tables.versions(directory):
        there = ", ".join(tables.versions(directory)) or "none"
        raise UnknownVersion(f"expected a version of {tables.MODEL} in {directory}, got {version!r}; there: {there}")
    tables.load(directory, version)
    tables.promote(directory, version)
    if within_s:
        until_served(settings, version, time.monotonic() + within_s)
    return version


def roll_back(settings: Settings, model: str, within_s: float) -> str:
    """Let the version that was made before the one that serves do so again; it stays until another is wanted.

    Raises:
        NothingToGoBackTo: there is none.
        CheckpointMismatch: its file is damaged; names it.
        NotPromoted, NotCaughtUp: as `promote`.
    """
    _require_versions(model)
    try:
        version = tables.version_before(directory_of(settings))
    except UnknownVersion as error:
        raise NothingToGoBackTo(str(error)) from error
    return promote(settings, model, version, within_s)


def prune(settings: Settings, keep: int) -> list[str]:
    """Delete versions of the tables that do not serve, but for the newest `keep`; their names."""
    directory = directory_of(settings)
    spare = [one for one in tables.versions(directory) if one != tables.current(directory)][keep:]
    for version in spare:
        tables.remove(directory, version)
    return spare


def _require_versions(model: str) -> None:
    if NAMES[model] == TRACK2VEC:
        raise NotPromoted(
            f"{TRACK2VEC} grows with what arrives, in one state without versions to go back to: to begin from another, "
            "let THROUGHBEAT_TRACK2VEC_CHECKPOINT name a file of `throughbeat train track2vec`"
        )


def _tables(settings: Settings) -> Iterator[dict[str, Any]]:
    directory = directory_of(settings)
    serving = tables.current(directory)
    for version in tables.versions(directory):
        path = directory / f"{version}.safetensors"
        try:
            manifest = tables.read_manifest(directory, version)
        except CheckpointMismatch:
            yield _row(tables.MODEL, version, "damaged", path, None)
            continue
        yield _row(tables.MODEL, version, "serves" if version == serving else "here", path, manifest.get("made_at_ms"))


def _grown(settings: Settings) -> Iterator[dict[str, Any]]:
    own = base_of(settings)
    for path in sorted(learned_in(settings).glob(f"*/{FILE}")):
        try:
            version = read_track2vec(path)["version"]
        except (CheckpointMismatch, KeyError):
            yield _row(TRACK2VEC, path.parent.name, "damaged", path, None)
            continue
        state = "serves" if path.parent.name == own else "here"
        yield _row(TRACK2VEC, version, state, path, int(path.stat().st_mtime * 1000))


def _row(model: str, version: str, state: str, path: Path, created_at_ms: int | None) -> dict[str, Any]:
    return {
        "model": model,
        "version": version,
        "state": state,
        "created_at_ms": created_at_ms,
        "size_bytes": path.stat().st_size,
        "path": str(path),
    }


def _told(manifest: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {name: manifest[name] for name in ("tracks", "lists", "listeners", "took_s") if name in manifest}
    told = {name: manifest.get(name) for name in ("config", "metrics", "data", "offsets", "parents")}
    return {**told, "metrics": {**metrics, **(manifest.get("metrics") or {})}}


def _told_of_grown(manifest: Mapping[str, Any], path: Path) -> dict[str, Any]:
    base = path.parent.name
    offsets: dict[str, dict[str, int]] = {}
    for topic, partition, last in manifest["offsets"]:
        offsets.setdefault(topic, {})[str(partition)] = last + 1
    return {
        "files": {path.name: manifest["sha256"]},
        "config": {**manifest["config"], "seed": manifest["seed"]},
        "metrics": {name: manifest.get(name) for name in ("tracks", "lists", "drift")},
        "data": {"lists": manifest.get("fingerprint")},
        "offsets": offsets,
        "parents": {TRACK2VEC: base} if base != NOTHING else {},
    }
