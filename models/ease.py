"""EASE: which columns of a table of counts speak for which others, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import spotrf, spotri
from scipy.sparse import csr_matrix

# Either side of the inverse: 8,192 take 270 MB and half a minute.
SIDE_MAX = 8_192
CHUNK = 512


@dataclass(frozen=True)
class Weights:
    """For each of M columns the columns that it speaks for most, by falling weight.

    Attributes:
        columns: (M, k) int32; -1 where there are fewer.
        weights: (M, k) float32, > 0; 0 where there are fewer.
    """

    columns: NDArray[np.int32]
    weights: NDArray[np.float32]


def ease(counts: csr_matrix, ridge: float, k: int) -> Weights:
    """The k strongest weights of each column: a row x scores column j by the sum of x_i times the weight of j for i.

    The smaller side of the table is inverted, by the identity of Woodbury, so the dual form of few lists gives the same
    weights as the primal one of many. Of a table that is large on both sides, the columns that occur most are learned.

    Source: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, equation 8.

    Args:
        counts: (N, M) float32.
        ridge: > 0.
        k: weights kept of each column.
    """
    occurring = np.asarray((counts > 0).sum(axis=0)).ravel()
    learned = np.flatnonzero(occurring > 0)
    if min(counts.shape[0], len(learned)) > SIDE_MAX:
        learned = np.sort(np.argsort(-occurring, kind="stable")[:SIDE_MAX])
    columns = np.full((counts.shape[1], k), -1, np.int32)
    weights = np.zeros((counts.shape[1], k), np.float32)
    if not len(learned):
        return Weights(columns, weights)
    part = counts[:, learned].tocsr()
    dual = part.shape[0] <= part.shape[1]
    kernel, diagonal = _dual(part, ridge) if dual else _primal(part, ridge)
    for start in range(0, len(learned), CHUNK):
        own = np.arange(start, min(start + CHUNK, len(learned)))
        # What these columns say of all: -P_ij / P_jj, where P is the inverse of X'X + ridge.
        said = (kernel[own] @ part if dual else -kernel[own]) / diagonal
        said[np.arange(len(own)), own] = 0
        most = min(k, len(learned))
        best = np.argpartition(-said, most - 1, axis=1)[:, :most]
        found = np.take_along_axis(said, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        best, found = np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)
        columns[learned[own], :most] = np.where(found > 0, learned[best], -1)
        weights[learned[own], :most] = np.maximum(found, 0)
    return Weights(columns, weights)


def _dual(part: csr_matrix, ridge: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """X'(XX' + ridge)^-1 as (M, N), and the diagonal of the ridge times P."""
    gram = (part @ part.T).toarray().astype(np.float32)
    half = part.T @ _inverse(gram, ridge)
    return half, np.asarray(1 - part.T.multiply(half).sum(axis=1)).ravel().astype(np.float32)


def _primal(part: csr_matrix, ridge: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    inverse = _inverse((part.T @ part).toarray().astype(np.float32), ridge)
    return inverse, np.diagonal(inverse).copy()


def _inverse(gram: NDArray[np.float32], ridge: float) -> NDArray[np.float32]:
    gram[np.diag_indices_from(gram)] += ridge
    factor, _ = spotrf(gram, lower=False, overwrite_a=True)
    inverse, _ = spotri(factor, lower=False, overwrite_c=True)
    return np.asarray(np.triu(inverse) + np.triu(inverse, 1).T)
