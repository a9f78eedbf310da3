"""EASE against its definition: a least-squares fit whose own diagonal is 0."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import models.ease
from models.ease import Weights, ease


def dense(found: Weights) -> np.ndarray:
    """(M, M) the weights where they were."""
    size = len(found.columns)
    table = np.zeros((size, size))
    for row in range(size):
        for column, weight in zip(found.columns[row], found.weights[row], strict=True):
            if column >= 0:
                table[row, column] = weight
    return table


def constrained(counts: np.ndarray, ridge: float) -> np.ndarray:
    """By solving, for each column, the ridge regression on all others."""
    size = counts.shape[1]
    table = np.zeros((size, size))
    for column in range(size):
        others = [one for one in range(size) if one != column]
        gram = counts[:, others].T @ counts[:, others] + ridge * np.eye(size - 1)
        table[others, column] = np.linalg.solve(gram, counts[:, others].T @ counts[:, column])
    return table


@pytest.mark.parametrize("shape", [(6, 15), (40, 9)], ids=["dual", "primal"])
def test_weights_are_those_of_a_ridge_regression_of_each_column_on_the_others(shape: tuple[int, int]) -> None:
    counts = np.random.default_rng(1).poisson(0.6, shape).astype(np.float32)
    expected = np.maximum(constrained(counts.astype(float), 2.0), 0)
    assert dense(ease(csr_matrix(counts), 2.0, shape[1])) == pytest.approx(expected, abs=1e-4)


def test_only_the_strongest_weights_are_kept_the_strongest_first() -> None:
    counts = np.random.default_rng(2).poisson(0.6, (30, 12)).astype(np.float32)
    every, few = ease(csr_matrix(counts), 2.0, 12), ease(csr_matrix(counts), 2.0, 3)
    assert (few.weights == every.weights[:, :3]).all()
    assert (np.diff(every.weights, axis=1) <= 0).all()


def test_columns_that_nobody_counts_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.array([[1, 1, 0], [1, 1, 0]], np.float32)
    assert (ease(csr_matrix(counts), 1.0, 2).columns[2] == -1).all()
    assert (ease(csr_matrix(np.zeros((3, 4), np.float32)), 1.0, 2).columns == -1).all()
    # Of a table too large on both sides, what occurs most is learned.
    monkeypatch.setattr(models.ease, "SIDE_MAX", 2)
    counts = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [1, 1, 1, 0]], np.float32)
    found = dense(ease(csr_matrix(counts), 1.0, 3))
    assert found[0, 1] > 0
    assert not found[2:].any()
