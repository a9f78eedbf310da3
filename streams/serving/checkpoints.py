"""The weights of the embedding by version: in the registry, where those that the installation brings are put too."""

from __future__ import annotations

import json
from pathlib import Path

from models.registry import Registry, StoredVersion
from models.versions import checkpoint_path, read_weights, version_of
from streams.connections import connection_of
from streams.serving.announcements import read_updates
from streams.settings import Settings

MODEL = "embeat_mlp"


def own_checkpoint(settings: Settings, registry: Registry) -> str:
    """The version that the installation brings: of the setting, else of the package; it is put into the registry.

    Raises:
        CheckpointMismatch: there is no such file.
    """
    return register(registry, checkpoint_path(settings.embeat_mlp_checkpoint)).version


def find_checkpoint(settings: Settings, registry: Registry, version: str) -> Path:
    """The file of weights of a version, unharmed.

    Raises:
        UnknownVersion, VersionDamaged: there is none; names what was looked for.
    """
    own_checkpoint(settings, registry)
    return registry.find(MODEL, version).weights


def serving_checkpoint(settings: Settings) -> Path:
    """The file of weights of the version that serves, or is the first to.

    Raises:
        BrokerUnavailable: Kafka does not say which.
        ModelError: its weights are not to be had.
    """
    registry = Registry(settings.models_path)
    state = read_updates(connection_of(settings), settings.topic_prefix)[0].get(MODEL)
    version = state.version if state is not None else own_checkpoint(settings, registry)
    return find_checkpoint(settings, registry, version)


def register(registry: Registry, weights: Path) -> StoredVersion:
    """Put weights, and the manifest beside them, into the registry; those that are there stay as they are.

    Raises:
        CheckpointMismatch: there is no such file.
    """
    version = version_of(weights, read_weights(weights))
    beside = weights.with_suffix(".json")
    manifest = json.loads(beside.read_bytes()) if beside.exists() else {}
    told = manifest if isinstance(manifest, dict) else {}
    return registry.add(MODEL, version, [weights, *([beside] if beside.exists() else [])], told)
