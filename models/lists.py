"""The lists that a model has learned from and still holds, by key: what counts, and what may be gone over again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from models.skipgram import Rows


class Listed(Struct, frozen=True, gc=False):
    """A list of distinct tracks by row, with its owner's stamp, 0 when there was none."""

    key: str
    rows: Rows
    updated_at_ms: int = 0


class Lists:
    """Lists by key; one is drawn by chance as cheaply as one is put or taken. 4 bytes a track and some 300 a list."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._listed: list[Listed] = []

    def __len__(self) -> int:
        return len(self._listed)

    def __iter__(self) -> Iterator[Listed]:
        """All, in no stated order."""
        return iter(self._listed)

    def get(self, key: str) -> Listed | None:
        """The list, `None` when there is none."""
        place = self._places.get(key)
        return None if place is None else self._listed[place]

    def put(self, listed: Listed) -> None:
        """Keep it in place of the one that had its key."""
        place = self._places.setdefault(listed.key, len(self._listed))
        if place == len(self._listed):
            self._listed.append(listed)
        else:
            self._listed[place] = listed

    def take(self, key: str) -> Listed | None:
        """The list, which is held no longer."""
        place = self._places.pop(key, None)
        if place is None:
            return None
        taken, last = self._listed[place], self._listed.pop()
        if last is not taken:
            self._listed[place] = last
            self._places[last.key] = place
        return taken

    def drawn(self, most: int, rng: np.random.Generator) -> list[Listed]:
        """Some lists by chance, at most so many, each once at most unless there are more than are drawn."""
        if len(self._listed) <= most:
            return [self._listed[place] for place in rng.permutation(len(self._listed)).tolist()]
        return [self._listed[place] for place in rng.integers(len(self._listed), size=most).tolist()]
