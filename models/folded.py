"""An EmbeatMLP for embedding alone, in NumPy: what its network computes in evaluation mode, in fewer and larger steps.

To import torch takes seconds and hundreds of megabytes, which every start of a worker would pay for six products of
matrices. Each normalisation becomes part of the layer before it. There are few combinations of discrete features (234,
or 1,170 of the published inputs), so what they add to the backbone's first layer is computed once for all of them and
looked up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.features import Inputs

# Rows that are computed together: what they need between two layers stays in a core's cache.
CHUNK = 512
# What torch's normalisations add to a variance, and the least length that it divides by.
VARIANCE_EPSILON, LEAST_LENGTH = np.float32(1e-5), np.float32(1e-12)

Weights = NDArray[np.float32]
Tensors = Mapping[str, NDArray[Any]]
State = Mapping[str, Weights]
Layer = tuple[Weights, Weights, Weights | None]


class Folded:
    """What a network of these tensors computes.

    Args:
        inputs: what it is fed.
        tensors: by their names in the network's state; none is missing, or of another shape.
    """

    def __init__(self, inputs: Inputs, tensors: Tensors) -> None:
        state = {name: np.asarray(one, np.float32) for name, one in tensors.items()}
        rows = [table.rows for table in inputs.tables]
        self._inputs = inputs
        self._steps = np.array([math.prod(rows[at + 1 :]) for at in range(len(rows))])
        self._rows = np.array(rows)
        self._tower = _layers("acoustic_tower", state)
        (weight, bias, slope), *self._rest = _layers("backbone", state)
        width = self._tower[-1][0].shape[1]  # the backbone takes the acoustic half first
        every = np.array(list(itertools.product(*map(range, rows))))
        tables = (state[f"{table.name}_embedding.weight"] for table in inputs.tables)
        looked_up = np.hstack([table[every[:, at]] for at, table in enumerate(tables)])
        discrete_half = _through(_layers("discrete_tower", state), looked_up)
        self._looked_up = discrete_half @ weight[width:] + bias
        self._first = np.ascontiguousarray(weight[:width]), slope

    def __call__(self, discrete: NDArray[np.int64], acoustic: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, D) float32, each row of L2 norm 1 unless it has no direction.

        Args:
            discrete: (B, tables) the discrete columns of the inputs; 0 means "unknown".
            acoustic: (B, width) the acoustic columns of the inputs.

        Raises:
            FeatureShapeError: a column count differs from the inputs.
            IndexError: a discrete feature is outside its table.
        """
        self._inputs.check_columns(discrete.shape, acoustic.shape)
        if ((discrete < 0) | (discrete >= self._rows)).any():
            raise IndexError(f"expected discrete features below {self._rows.tolist()}, got others")
        index = (discrete * self._steps).sum(axis=1)
        vectors = np.empty((len(index), self._rest[-1][0].shape[1]), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # who asked looks at what comes out
            for at in range(0, len(index), CHUNK):
                part = slice(at, at + CHUNK)
                vectors[part] = self._embed(index[part], acoustic[part])
        return vectors

    def _embed(self, index: NDArray[np.int64], acoustic: Weights) -> Weights:
        weight, slope = self._first
        hidden = _through(self._tower, acoustic) @ weight
        hidden += self._looked_up[index]
        hidden = _through(self._rest, _activated(hidden, slope))
        lengths = np.sqrt(np.einsum("ij,ij->i", hidden, hidden))
        hidden /= np.maximum(lengths, LEAST_LENGTH)[:, None]
        return hidden


def _through(layers: Sequence[Layer], hidden: Weights) -> Weights:
    for weight, bias, slope in layers:
        hidden = hidden @ weight
        hidden += bias
        hidden = _activated(hidden, slope)
    return hidden


def _activated(hidden: Weights, slope: Weights | None) -> Weights:
    """PReLU, in place."""
    if slope is not None:
        below = np.minimum(hidden, 0)
        below *= slope
        np.maximum(hidden, 0, out=hidden)
        hidden += below
    return hidden


def _layers(stack: str, tensors: State) -> list[Layer]:
    """(weight, bias, slope) of each linear layer with what follows it; weights are (inputs, outputs)."""
    layers: list[Layer] = []
    for at in sorted({int(name.split(".")[1]) for name in tensors if name.startswith(f"{stack}.")}):
        weight = tensors[f"{stack}.{at}.weight"]
        if weight.ndim > 1:
            layers.append((np.ascontiguousarray(weight.T), tensors[f"{stack}.{at}.bias"], None))
        elif f"{stack}.{at}.running_var" in tensors:
            layers.append((*_normalised(*layers.pop()[:2], f"{stack}.{at}", tensors), None))
        else:
            layers.append((*layers.pop()[:2], weight))
    return layers


def _normalised(weight: Weights, bias: Weights, norm: str, tensors: State) -> tuple[Weights, Weights]:
    scale: Weights = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + VARIANCE_EPSILON)
    shifted: Weights = (bias - tensors[f"{norm}.running_mean"]) * scale + tensors[f"{norm}.bias"]
    return weight * scale, shifted
