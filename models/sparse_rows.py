"""Some rows of a sparse matrix, without the matrix that SciPy would make of them in several times as long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


def places_of(matrix: csr_matrix, rows: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the entries of rows stand in `indices` and `data`, one row after the other, and how many each row has.

    >>> places_of(csr_matrix([[1, 1], [0, 0], [0, 1]]), np.array([2, 1, 0]))
    (array([2, 0, 1]), array([1, 0, 2]))
    """
    first = matrix.indptr[rows].astype(np.int64)
    sizes = matrix.indptr[rows + 1] - first
    return np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum()), sizes
