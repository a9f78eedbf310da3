"""A small world of tracks and lists with a known answer."""

from __future__ import annotations

import numpy as np

from models.items import Items, hashed_genres, keys_of

GROUPS, ARTISTS, TRACKS = 8, 4, 6
EACH = ARTISTS * TRACKS


def world(seed: int = 3) -> Items:
    """Eight groups of four artists of six tracks; a group shares a genre and a sound."""
    rng = np.random.default_rng(seed)
    count = GROUPS * EACH
    group = np.arange(count) // EACH
    sounds = np.eye(64, dtype=np.float32)[group] + 0.1 * rng.normal(size=(count, 64))
    return Items(
        artists=keys_of(f"artist {track // TRACKS}" for track in range(count)),
        albums=keys_of(f"album {track // 3}" for track in range(count)),
        popularity=rng.uniform(0, 100, count).astype(np.float32),
        years=np.where(np.arange(count) % 5, 1990.0 + group, np.nan).astype(np.float32),
        genres=hashed_genres([(f"genre{one}",) for one in group.tolist()]),
        sounds=(sounds / np.linalg.norm(sounds, axis=1, keepdims=True)).astype(np.float16),
    )


def lists_of(seed: int = 4, many: int = 120, length: int = 12) -> list[np.ndarray]:
    """Lists that each hold tracks of one group."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(EACH)[:length] + EACH * (at % GROUPS) for at in range(many)]


def group_of(rows: np.ndarray) -> set[int]:
    return set((rows // EACH).tolist())
