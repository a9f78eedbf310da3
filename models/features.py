"""Audio features of tracks as a model reads them: one scaler for training and streaming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import FeaturesMissing

# Order of the acoustic columns. Each is known for a track that can be embedded.
DENSE = ("danceability", "energy", "valence", "acousticness", "liveness", "speechiness", "instrumentalness")
# Order of the discrete columns; index 0 means "unknown".
DISCRETE = ("key", "mode", "time_signature", "tempo")
# How many indices each discrete column can hold, so how many rows a table needs.
DISCRETE_ROWS = (13, 3, 6, 5)
TEMPO_ROWS = DISCRETE_ROWS[3]


class AudioFeatures(Protocol):
    """What is known of how a recording sounds; `None` = unknown."""

    @property
    def danceability(self) -> float | None: ...  # noqa: D102
    @property
    def energy(self) -> float | None: ...  # noqa: D102
    @property
    def valence(self) -> float | None: ...  # noqa: D102
    @property
    def acousticness(self) -> float | None: ...  # noqa: D102
    @property
    def liveness(self) -> float | None: ...  # noqa: D102
    @property
    def speechiness(self) -> float | None: ...  # noqa: D102
    @property
    def instrumentalness(self) -> float | None: ...  # noqa: D102
    @property
    def key(self) -> int | None: ...  # noqa: D102
    @property
    def mode(self) -> int | None: ...  # noqa: D102
    @property
    def time_signature(self) -> int | None: ...  # noqa: D102
    @property
    def tempo(self) -> float | None: ...  # noqa: D102


def can_embed(features: AudioFeatures) -> bool:
    """Whether all seven dense features are known; the discrete ones may be unknown."""
    return not missing(features)


def missing(features: AudioFeatures) -> list[str]:
    """The dense features that are unknown."""
    values = {name: getattr(features, name) for name in DENSE}
    return [name for name, value in values.items() if value is None or math.isnan(value)]


def tempo_bin(bpm: float | None) -> int:
    """The published model's row for a tempo.

    The rule is `clamp(int(bpm / 10) - 5, 1, 11)` after halving 170 bpm and above, and its table has 5 rows, so a bin
    outside them counts as 0: tempi from 100 to 169 bpm, most of music, are "unknown" to the published model. Weights
    trained with the rule need the rule.

    >>> [tempo_bin(bpm) for bpm in (None, 0, 55, 60, 75, 99.9, 100, 169.9, 170, 200)]
    [0, 0, 1, 1, 2, 4, 0, 0, 3, 0]
    """
    if bpm is None or not 0 < bpm < math.inf:
        return 0
    row = min(11, max(1, int((bpm / 2 if bpm >= 170 else bpm) / 10) - 5))
    return row if row < TEMPO_ROWS else 0


def to_arrays(tracks: Sequence[AudioFeatures]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Features as the network's two inputs.

    Returns:
        (B, 4) int64: key + 1, mode + 1, time signature 3..7 as 1..5, tempo bin; 0 means "unknown".
        (B, 7) float32: the dense features in the order of `DENSE`, each in 0..1 less 0.5.

    Raises:
        FeaturesMissing: a dense feature of a track is unknown.
    """
    discrete = np.array([_discrete(track) for track in tracks], dtype=np.int64).reshape(len(tracks), len(DISCRETE))
    dense = np.array([_dense(track) for track in tracks], dtype=np.float32).reshape(len(tracks), len(DENSE))
    unknown = np.flatnonzero(np.isnan(dense).any(axis=1))
    if unknown.size:
        raise FeaturesMissing(f"expected {', '.join(missing(tracks[unknown[0]]))} of track {unknown[0]}, got none")
    return discrete, dense - np.float32(0.5)


def _discrete(track: AudioFeatures) -> tuple[int, int, int, int]:
    key, mode, beats = track.key, track.mode, track.time_signature
    return (
        key + 1 if key is not None and 0 <= key <= 11 else 0,
        mode + 1 if mode is not None and 0 <= mode <= 1 else 0,
        beats - 2 if beats is not None and 3 <= beats <= 7 else 0,
        tempo_bin(track.tempo),
    )


def _dense(track: AudioFeatures) -> tuple[float | None, ...]:
    return (
        track.danceability,
        track.energy,
        track.valence,
        track.acousticness,
        track.liveness,
        track.speechiness,
        track.instrumentalness,
    )
