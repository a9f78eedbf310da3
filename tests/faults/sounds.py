"""What the shipped EmbeatMLP makes of a track, written a second time: plain arithmetic on its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from tests.unit.models.sounds import Array, stack

# Centre and spread of each number once it is unbent, as the model card states them.
SCALES = {
    "danceability": (0.42, 0.84),
    "energy": (0.68, 1.40),
    "loudness": (-8.4, 5.0),
    "speechiness": (-2.49, 0.73),
    "acousticness": (-2.06, 3.04),
    "instrumentalness": (-8.5, 5.7),
    "liveness": (-1.76, 0.68),
    "valence": (-0.05, 1.38),
    "tempo": (-0.03, 0.35),
    "duration_ms": (12.24, 0.39),
}
LEAST = {"danceability": 0.01, "energy": 0.002, "acousticness": 1e-5, "instrumentalness": 1e-6, "valence": 0.01}
KNOWN_MIN = 4
DISCRETE = (("key", 0, 11), ("mode", 0, 1), ("time_signature", 3, 7))


def numbers(record: Mapping[str, Any]) -> list[float | None]:
    """The ten numbers in units of their spread, `None` where unknown."""
    known = {**(record["features"] or {}), "duration_ms": record["duration_ms"]}
    found = []
    for name, (centre, spread) in SCALES.items():
        value = known.get(name)
        unbent = None if value is None else _unbent(name, value)
        found.append(None if unbent is None else max(-5.0, min(5.0, (unbent - centre) / spread)))
    return found


def _unbent(name: str, value: float) -> float | None:
    if name in LEAST:
        share = max(LEAST[name], min(1 - LEAST[name], value))
        return math.log(share / (1 - share))
    if name in ("speechiness", "liveness"):
        return math.log(value + 0.01)
    if name == "tempo":
        return math.log2(value / 120) if value > 0 else None
    return math.log(max(value, 1000)) if name == "duration_ms" else value


def _dense(record: Mapping[str, Any]) -> list[float]:
    """28 columns: numbers, the tempo's place in its octave by three sines and three cosines, what is unknown, the year.

    The year is in tens from 2014, at most 2024, and followed by whether it is unknown.
    """
    values = numbers(record)
    tempo = (record["features"] or {}).get("tempo")
    turn = 2 * math.pi * math.log2(tempo / 120) if tempo else None
    waves = [0.0 if turn is None else wave(turn * times) for wave in (math.sin, math.cos) for times in (1, 2, 3)]
    date = (record.get("album") or {}).get("release_date")
    year = [0.0, 1.0] if date is None else [max(-5.0, (min(2024, int(date.split("-")[0])) - 2014) / 10), 0.0]
    return [*(value or 0.0 for value in values), *waves, *(float(value is None) for value in values), *year]


def _looked_up(weights: Mapping[str, Array], record: Mapping[str, Any]) -> Array:
    features = record["features"] or {}
    rows = []
    for name, low, high in DISCRETE:
        value = features.get(name)
        rows.append(value - low + 1 if value is not None and low <= value <= high else 0)
    return np.concatenate(
        [weights[f"{name}_embedding.weight"][row] for (name, *_), row in zip(DISCRETE, rows, strict=True)]
    )


def vectors(records: Mapping[str, Mapping[str, Any]], path: Path) -> dict[str, Array]:
    """(64,) of each track of whose sound enough is known, by id."""
    heard = {
        track_id: record
        for track_id, record in records.items()
        if sum(value is not None for value in numbers(record)) >= KNOWN_MIN
    }
    if not heard:
        return {}
    weights = {name: tensor.double().numpy() for name, tensor in safetensors.torch.load_file(path).items()}
    return dict(zip(heard, _embedded(weights, list(heard.values())), strict=True))


def _embedded(weights: Mapping[str, Array], records: Sequence[Mapping[str, Any]]) -> Array:
    dense = np.array([_dense(record) for record in records])
    looked_up = np.array([_looked_up(weights, record) for record in records])
    towers = [stack(weights, "acoustic_tower", (0, 3), dense), stack(weights, "discrete_tower", (0, 3), looked_up)]
    hidden = stack(weights, "backbone", (0, 4), np.hstack(towers))
    found = hidden @ weights["backbone.8.weight"].T + weights["backbone.8.bias"]
    return np.asarray(found / np.sqrt((found**2).sum(axis=1, keepdims=True)))
