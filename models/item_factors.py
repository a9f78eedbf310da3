"""Weighted item factors: what a list holds becomes a vector at request time, and the nearest tracks follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Weighting:
    """How factors are learned; the defaults are the best of those measured on sparse and on dense lists."""

    width: int = 32
    ridge: float = 20.0
    confidence: float = 20.0
    iterations: int = 12
    seed: int = 7


def train_factors(counts: csr_matrix, how: Weighting) -> NDArray[np.float32]:
    """(M, width) factors of the columns; zero for a column without a count.

    Source: Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008, by `implicit`.

    Args:
        counts: (N, M) float32, each > 0 the interest of a list in a column.
        how: sizes, and the weight of what is there over what is not.
    """
    from implicit.cpu.als import AlternatingLeastSquares

    # It runs beside answers, and its many small products are faster so.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=how.width,
            regularization=how.ridge,
            alpha=how.confidence,
            iterations=how.iterations,
            random_state=how.seed,
            num_threads=1,
        )
        model.fit(counts, show_progress=False)
    return np.where((np.bincount(counts.indices, minlength=counts.shape[1]) > 0)[:, None], model.item_factors, 0)


class FoldIn:
    """Vectors of lists and people that no training has seen."""

    def __init__(self, factors: NDArray[np.float32], how: Weighting) -> None:
        self._factors = factors
        self._how = how
        self._gram = factors.T @ factors + how.ridge * np.eye(factors.shape[1], dtype=np.float32)

    def vector(self, rows: NDArray[np.int64], interest: NDArray[np.float32]) -> NDArray[np.float32]:
        """(width,) the least-squares vector of a list that holds `rows` with `interest` (> 0) in each."""
        held = self._factors[rows].astype(np.float32)
        sure = self._how.confidence * interest
        return np.linalg.solve(self._gram + (held * (sure - 1)[:, None]).T @ held, held.T @ sure)
