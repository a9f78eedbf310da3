"""The network of EmbeatMLP as it is trained, with torch; models/folded.py computes the same for embedding alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from models.embeat_mlp import INPUTS, MODEL, Config, EmbeatMLP
from models.errors import CheckpointMismatch


def _tower(width: int, config: Config) -> nn.Sequential:
    inner = config.tower_width
    return nn.Sequential(
        nn.Linear(width, inner),
        nn.BatchNorm1d(inner),
        nn.PReLU(),
        nn.Linear(inner, inner),
        nn.BatchNorm1d(inner),
        nn.PReLU(),
    )


def _backbone(config: Config) -> nn.Sequential:
    inner = config.backbone_width
    return nn.Sequential(
        nn.Linear(2 * config.tower_width, inner),
        nn.BatchNorm1d(inner),
        nn.PReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(inner, inner),
        nn.BatchNorm1d(inner),
        nn.PReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(inner, config.output_width),
    )


class Network(nn.Module):
    """The dual tower: discrete and acoustic features apart, then together."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.inputs = INPUTS[config.inputs]
        for table in self.inputs.tables:
            self.add_module(f"{table.name}_embedding", nn.Embedding(table.rows, table.width))
        self.discrete_tower = _tower(sum(table.width for table in self.inputs.tables), config)
        self.acoustic_tower = _tower(self.inputs.width, config)
        self.backbone = _backbone(config)

    @property
    def tables(self) -> tuple[nn.Embedding, ...]:
        """The embeddings in the order of the discrete columns."""
        return tuple(getattr(self, f"{table.name}_embedding") for table in self.inputs.tables)

    def forward(self, discrete: Tensor, acoustic: Tensor) -> Tensor:
        """Embed tracks on the unit sphere.

        Args:
            discrete: (B, tables) int64, the discrete columns of the inputs; 0 means "unknown".
            acoustic: (B, width) float32, the acoustic columns of the inputs.

        Returns:
            (B, 64) float32, each row of L2 norm 1, so a dot product is a cosine.

        Raises:
            FeatureShapeError: a column count differs from the inputs.
        """
        self.inputs.check_columns(discrete.shape, acoustic.shape)
        return nn.functional.normalize(self.direction(discrete, acoustic), dim=1)

    def direction(self, discrete: Tensor, acoustic: Tensor) -> Tensor:
        """(B, 64) where each track lies, before its length becomes 1."""
        looked_up = torch.cat([table(discrete[:, column]) for column, table in enumerate(self.tables)], dim=1)
        both = torch.cat([self.acoustic_tower(acoustic), self.discrete_tower(looked_up)], dim=1)
        direction: Tensor = self.backbone(both)
        return direction


def frozen(network: Network, version: str, manifest: Mapping[str, Any] | None = None) -> EmbeatMLP:
    """The network as it is now, ready to embed; later changes of its weights do not count."""
    tensors = {name: tensor.numpy(force=True).copy() for name, tensor in network.state_dict().items()}
    return EmbeatMLP(network.config, tensors, version, manifest)


def thawed(model: EmbeatMLP) -> Network:
    """A network of the model's weights, in evaluation mode."""
    network = Network(model.config)
    network.load_state_dict({name: torch.from_numpy(one) for name, one in model.tensors.items()})
    return network.eval()


def save_checkpoint(network: Network, path: Path, manifest: Mapping[str, Any]) -> None:
    """Write weights, and beside them a JSON manifest: model, config, sha256 of the weights, and what `manifest` holds.

    Raises:
        CheckpointMismatch: the name does not end in `.safetensors`, so that the file could not be loaded again.
    """
    if path.suffix != ".safetensors":
        raise CheckpointMismatch(f"{path}: expected a name that ends in .safetensors for weights of this project")
    weights = safetensors.torch.save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})
    own = {"model": MODEL, "config": asdict(network.config), "weights_sha256": hashlib.sha256(weights).hexdigest()}
    text = json.dumps(_nan_as_null({**manifest, **own}), indent=2, sort_keys=True, allow_nan=False)
    path.write_bytes(weights)
    path.with_suffix(".json").write_text(text + "\n")


def _nan_as_null(value: Any) -> Any:
    """What JSON can hold: a share of nothing is not a number, and is written as null."""
    if isinstance(value, Mapping):
        return {key: _nan_as_null(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
