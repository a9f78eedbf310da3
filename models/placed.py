"""Where tracks were at some moment, to tell later how far they have moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.skipgram import Matrix, Rows, grown


class Placed:
    """Unit vectors by row at half precision, 2 bytes a number; a row that was never put, or put as 0, has none."""

    def __init__(self, dimensions: int) -> None:
        self._vectors = np.zeros((0, dimensions), np.float16)

    def put(self, rows: Rows, vectors: Matrix) -> None:
        """Remember (B, D) unit vectors, or 0, of rows."""
        self._reach(int(rows.max(initial=-1)) + 1)
        self._vectors[rows] = vectors

    def moved(self, rows: Rows, vectors: Matrix) -> NDArray[np.float32]:
        """(B,) 1 less the cosine to where each row was; 1 where only one of the two is 0, and 0 where both are."""
        self._reach(int(rows.max(initial=-1)) + 1)
        before = self._vectors[rows].astype(np.float32)
        neither = ~before.any(axis=1) & ~vectors.any(axis=1)
        return np.where(neither, 0, 1 - np.einsum("ij,ij->i", before, vectors)).astype(np.float32)

    @property
    def rows(self) -> Rows:
        """The rows that were put."""
        return np.flatnonzero(self._vectors.any(axis=1)).astype(np.int32)

    def upto(self, size: int) -> NDArray[np.float16]:
        """(size, D) what was put, 0 where nothing was."""
        self._reach(size)
        return self._vectors[:size]

    def _reach(self, size: int) -> None:
        if size > len(self._vectors):
            self._vectors = grown(self._vectors, max(size, 2 * len(self._vectors)))
