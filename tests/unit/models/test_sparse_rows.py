from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import random_array

from models.sparse_rows import places_of


@pytest.mark.parametrize("rows", [[], [3], [0, 49, 7, 7, 12], list(range(50))])
def test_rows_are_those_that_scipy_takes(rows: list[int]) -> None:
    matrix = random_array((50, 20), density=0.1, format="csr", rng=np.random.default_rng(1))
    places, sizes = places_of(matrix, np.array(rows, np.int64))
    taken = matrix[rows]
    assert matrix.indices[places].tolist() == taken.indices.tolist()
    assert matrix.data[places].tolist() == taken.data.tolist()
    assert sizes.tolist() == np.diff(taken.indptr).tolist()
