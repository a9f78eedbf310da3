"""Tracks for the tests of models, and EmbeatMLP written a second time in plain numpy as what to expect of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.features import Sound
from topics.records import Features

Array = NDArray[np.float64]
NUMBER = "num_batches_tracked"


def sound(duration_ms: int | None = None, **known: Any) -> Sound:
    """A track whose dense features are all known, and its discrete ones only where said."""
    dense = {"danceability": 0.5, "energy": 0.6, "valence": 0.4, "acousticness": 0.1}
    rest = {"liveness": 0.2, "speechiness": 0.05, "instrumentalness": 0.0}
    return Sound(Features(**{**dense, **rest, **known}), duration_ms)


def sounds(count: int, seed: int = 5) -> list[Sound]:
    """Tracks of every kind, with a tenth of the discrete features unknown."""
    rng = np.random.default_rng(seed)
    dense = rng.random((count, 7)).tolist()
    whole = np.column_stack([rng.integers(0, 12, count), rng.integers(0, 2, count), rng.integers(3, 8, count)])
    unknown = rng.random((count, 6)) < 0.1
    lengths, loudness = rng.integers(60_000, 400_000, count).tolist(), rng.uniform(-30, 0, count).tolist()
    return [
        sound(
            **dict(zip(Features.__struct_fields__[:2], row[:2], strict=True)),
            **dict(
                zip(("speechiness", "acousticness", "instrumentalness", "liveness", "valence"), row[2:], strict=True)
            ),
            key=None if hidden[0] else int(key),
            mode=None if hidden[1] else int(mode),
            time_signature=None if hidden[2] else int(beats),
            tempo=None if hidden[3] else float(rng.uniform(40, 220)),
            loudness=None if hidden[4] else level,
            duration_ms=None if hidden[5] else length,
        )
        for row, (key, mode, beats), hidden, length, level in zip(dense, whole, unknown, lengths, loudness, strict=True)
    ]


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of the published file: name -> shape, as read from it."""
    shapes: dict[str, tuple[int, ...]] = {
        "key_embedding.weight": (13, 8),
        "mode_embedding.weight": (3, 4),
        "time_signature_embedding.weight": (6, 4),
        "tempo_embedding.weight": (5, 4),
    }
    layers = [("discrete_tower", 0, 20, 64), ("discrete_tower", 3, 64, 64), ("acoustic_tower", 0, 7, 64)]
    layers += [("acoustic_tower", 3, 64, 64), ("backbone", 0, 128, 256), ("backbone", 4, 256, 256)]
    for part, at, before, after in layers:
        shapes |= {
            f"{part}.{at}.weight": (after, before),
            f"{part}.{at}.bias": (after,),
            f"{part}.{at + 2}.weight": (1,),
        }
        shapes |= {f"{part}.{at + 1}.{name}": (after,) for name in ("weight", "bias", "running_mean", "running_var")}
        shapes[f"{part}.{at + 1}.{NUMBER}"] = ()
    return shapes | {"backbone.8.weight": (64, 256), "backbone.8.bias": (64,)}


def random_state(seed: int = 3) -> dict[str, torch.Tensor]:
    """Weights under the published names, all of them drawn; variances are positive."""
    rng = np.random.default_rng(seed)
    state: dict[str, torch.Tensor] = {}
    for name, shape in published_shapes().items():
        if name.endswith(NUMBER):
            state[name] = torch.tensor(7)
            continue
        values = rng.normal(0, 1 / np.sqrt(shape[-1]), shape)
        state[name] = torch.tensor(np.abs(values) + 0.1 if "running_var" in name else values, dtype=torch.float32)
    return state


def expected_vectors(state: Mapping[str, torch.Tensor], tracks: Sequence[Sound]) -> Array:
    """(B, 64) what EmbeatMLP means, in float64: look up, two towers, acoustic first, backbone, length 1."""
    weights = {name: tensor.double().numpy() for name, tensor in state.items()}
    looked_up = np.array([_looked_up(weights, track.features) for track in tracks])
    dense = np.array([_dense(track.features) for track in tracks]) - 0.5
    towers = [stack(weights, "acoustic_tower", (0, 3), dense), stack(weights, "discrete_tower", (0, 3), looked_up)]
    hidden = stack(weights, "backbone", (0, 4), np.hstack(towers))
    vectors = hidden @ weights["backbone.8.weight"].T + weights["backbone.8.bias"]
    return np.asarray(vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True)))


def stack(weights: Mapping[str, Array], part: str, starts: Sequence[int], values: Array) -> Array:
    """A part of the network: linear, normalised as in use, PReLU, from each of these places on."""
    for at in starts:
        values = values @ weights[f"{part}.{at}.weight"].T + weights[f"{part}.{at}.bias"]
        norm = {name: weights[f"{part}.{at + 1}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")}
        values = (values - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5) * norm["weight"] + norm["bias"]
        values = np.where(values > 0, values, weights[f"{part}.{at + 2}.weight"] * values)
    return values


def _looked_up(weights: Mapping[str, Array], track: Features) -> Array:
    beats, tempo = track.time_signature, track.tempo or 0.0
    tens = int((tempo / 2 if tempo >= 170 else tempo) // 10) - 5
    row = {1: 1, 2: 2, 3: 3, 4: 4}.get(max(tens, 1), 0) if tempo else 0
    return np.concatenate(
        [
            weights["key_embedding.weight"][0 if track.key is None else track.key + 1],
            weights["mode_embedding.weight"][0 if track.mode is None else track.mode + 1],
            weights["time_signature_embedding.weight"][0 if beats is None else beats - 2],
            weights["tempo_embedding.weight"][row],
        ]
    )


def _dense(track: Features) -> list[float]:
    order = ["danceability", "energy", "valence", "acousticness", "liveness", "speechiness", "instrumentalness"]
    return [getattr(track, name) for name in order]
