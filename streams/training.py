"""From a catalogue's files to a trained EmbeatMLP with its manifest."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from models.contrastive import Examples, OnStep, Training, train
from models.embeat_mlp import load_checkpoint
from models.network import frozen, save_checkpoint
from models.pairs import groups_of
from models.rich_inputs import DATED
from streams.embedding_quality import compare
from streams.labelled import RULE, Catalogue, Labels


def train_on(
    catalogue: Catalogue,
    examples: Examples,
    training: Training,
    out: Path,
    source: Mapping[str, Any],
    on_step: OnStep,
    beside: Sequence[Path] = (),
) -> dict[str, Any]:
    """Train on the examples of a catalogue, measure on the artists held out, and write weights and manifest.

    A run that was stopped goes on from `out` with the ending `.progress`.

    Returns:
        The comparison with raw features and with the models `beside`, as the manifest holds it.
    """
    progress_path = out.with_suffix(".progress")
    network = train(examples, training, on_step=on_step, progress_path=progress_path)
    models = [frozen(network, out.stem, {"held_out": RULE}), *map(load_checkpoint, beside)]
    metrics = compare(catalogue, models, seed=training.seed)
    manifest = {"training": asdict(training), "data": source, "held_out": RULE, "metrics": metrics}
    save_checkpoint(network, out, manifest)
    return metrics


def examples_of(catalogue: Catalogue) -> Examples:
    """What may be learned from: tracks that can be embedded, of artists that are not held out."""
    able = np.array([DATED.can_embed(track) for track in catalogue.tracks], dtype=bool)
    rows = np.flatnonzero(able & ~catalogue.held_out)
    place = np.full(len(catalogue.tracks), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    groups = {
        "album": groups_of(catalogue.albums[rows]),
        "artist": groups_of(catalogue.artists[rows]),
        "genre": _by_genre(catalogue, rows),
        "playlist": [own for one in catalogue.playlists if len(own := place[one][place[one] >= 0]) > 1],
    }
    return Examples([catalogue.tracks[row] for row in rows.tolist()], groups, catalogue.artists[rows])


def _by_genre(catalogue: Catalogue, rows: Labels) -> list[Labels]:
    members: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows.tolist()):
        for genre in catalogue.tracks[row].genres:
            members[genre].append(place)
    return [np.array(one, dtype=np.int64) for one in members.values() if len(one) > 1]


def fingerprint(*paths: Path) -> dict[str, str]:
    """What a model was trained on: the files' names and the sha256 of their contents."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
