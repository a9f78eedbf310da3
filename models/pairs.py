"""Pairs of tracks that belong together, drawn from groups that share something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.errors import TooFewTracks

Rows = NDArray[np.int64]


def groups_of(labels: Rows) -> list[Rows]:
    """The rows of each label >= 0, where there are two or more of them."""
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return [part for part in parts if len(part) > 1]


class PairSampler:
    """Draws pairs of each relation in stated shares, its groups by the root of their size.

    Raises:
        TooFewTracks: no relation that has a share has a group of two.
    """

    def __init__(self, groups: Mapping[str, Sequence[Rows]], shares: Mapping[str, float]) -> None:
        usable = {name: [one for one in members if len(one) > 1] for name, members in groups.items()}
        self._relations = [(shares[name], _Groups(usable[name])) for name in shares if usable.get(name)]
        if not self._relations:
            raise TooFewTracks(f"expected tracks that share one of {', '.join(shares)}, got none")

    def draw(self, count: int, rng: np.random.Generator) -> Rows:
        """(count, 2) rows of two different tracks of one group."""
        shares = np.array([share for share, _ in self._relations])
        ends = np.rint(np.cumsum(shares) / shares.sum() * count).astype(int)
        counts = np.diff(ends, prepend=0)
        return np.concatenate([one.draw(n, rng) for n, (_, one) in zip(counts, self._relations, strict=True)])


class _Groups:
    """Groups of one relation, laid end to end."""

    def __init__(self, groups: Sequence[Rows]) -> None:
        self._members = np.concatenate(groups)
        self._sizes = np.array([len(group) for group in groups])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._odds = np.sqrt(self._sizes) / np.sqrt(self._sizes).sum()

    def draw(self, count: int, rng: np.random.Generator) -> Rows:
        chosen = rng.choice(len(self._sizes), count, p=self._odds)
        one = rng.integers(0, self._sizes[chosen])
        other = rng.integers(0, self._sizes[chosen] - 1)
        other += other >= one
        return np.column_stack([self._members[self._starts[chosen] + at] for at in (one, other)])
