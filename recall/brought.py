"""Vectors that a track brings from other models: read, checked, and made unit length."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recall.tracks import Vector
from topics.errors import RecordRefused
from topics.records import Track

REASON = "bad_embedding"


def brought_vectors(track: Track, declared: Mapping[str, int]) -> dict[str, Vector]:
    """The declared ones of a track's `embeddings`, each float32 of L2 norm 1; other names are ignored.

    Args:
        track: as it came.
        declared: length of each named vector.

    Raises:
        RecordRefused: one has another length, a number that is not finite, or no direction.
    """
    given = track.embeddings or {}
    return {name: _unit(name, given[name], size) for name, size in declared.items() if name in given}


def _unit(name: str, numbers: tuple[float, ...], size: int) -> Vector:
    if len(numbers) != size:
        raise RecordRefused(REASON, f"expected {size} numbers in embeddings.{name}, got {len(numbers)}")
    vector = np.array(numbers)
    largest = float(np.abs(vector).max())
    if not np.isfinite(largest):
        raise RecordRefused(REASON, f"expected finite numbers in embeddings.{name}, got NaN or infinity")
    if largest == 0:
        raise RecordRefused(REASON, f"expected a direction in embeddings.{name}, got only zeros")
    # Divided twice, so that squares neither overflow nor vanish.
    scaled = vector / largest
    return (scaled / np.linalg.norm(scaled)).astype(np.float32)
