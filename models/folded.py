"""An EmbeatMLP for embedding alone: the same function as its network in evaluation mode, in fewer and larger steps.

Each normalisation becomes part of the layer before it. There are few combinations of discrete features (234, or 1,170
of the published inputs), so what they add to the backbone's first layer is computed once for all of them and looked up.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from models.embeat_mlp import Network

# Rows that are computed together: what they need between two layers stays in a core's cache.
CHUNK = 2048


class Folded:
    """What a network computes, as of when this was made; later changes of its weights do not count."""

    @torch.inference_mode()
    def __init__(self, network: Network) -> None:
        self._check = network.check_columns
        rows = [table.rows for table in network.inputs.tables]
        self._steps = torch.tensor([torch.Size(rows[at + 1 :]).numel() for at in range(len(rows))])
        self._rows = torch.tensor(rows)
        self._tower = _layers(network.acoustic_tower)
        (weight, bias, slope), *self._rest = _layers(network.backbone)
        width = network.config.tower_width  # the backbone takes the acoustic half first
        every = torch.tensor(list(itertools.product(*map(range, rows))))
        self._looked_up = torch.addmm(bias, network.discrete_half(every), weight[width:])
        self._first = weight[:width].contiguous(), slope

    @torch.inference_mode()
    def __call__(self, discrete: Tensor, acoustic: Tensor) -> Tensor:
        """As `Network.forward`."""
        self._check(discrete, acoustic)
        if ((discrete < 0) | (discrete >= self._rows)).any():
            raise IndexError(f"expected discrete features below {self._rows.tolist()}, got others")
        if not len(acoustic):
            return torch.zeros(0, self._rest[-1][0].shape[1])
        index = (discrete * self._steps).sum(dim=1)
        starts = range(0, len(index), CHUNK)
        return torch.cat([self._embed(index[at : at + CHUNK], acoustic[at : at + CHUNK]) for at in starts])

    def _embed(self, index: Tensor, hidden: Tensor) -> Tensor:
        for layer in self._tower:
            hidden = _through(layer, hidden)
        weight, slope = self._first
        hidden = _through((weight, self._looked_up[index], slope), hidden)
        for layer in self._rest:
            hidden = _through(layer, hidden)
        return nn.functional.normalize(hidden, dim=1)


Layer = tuple[Tensor, Tensor, Tensor | None]


def _through(layer: Layer, hidden: Tensor) -> Tensor:
    weight, bias, slope = layer
    hidden = torch.addmm(bias, hidden, weight)
    return hidden if slope is None else torch.prelu(hidden, slope)


def _layers(stack: nn.Sequential) -> list[Layer]:
    """(weight, bias, slope) of each linear layer with what follows it; weights are (inputs, outputs)."""
    layers: list[Layer] = []
    for module in stack:
        if isinstance(module, nn.Linear):
            layers.append((module.weight.T.contiguous(), module.bias.clone(), None))
        elif isinstance(module, nn.BatchNorm1d):
            weight, bias, _ = layers.pop()
            layers.append((*_normalised(weight, bias, module), None))
        elif isinstance(module, nn.PReLU):
            weight, bias, _ = layers.pop()
            layers.append((weight, bias, module.weight.clone()))
    return layers


def _normalised(weight: Tensor, bias: Tensor, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("expected a normalisation that keeps running statistics")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * scale, (bias - norm.running_mean) * scale + norm.bias
