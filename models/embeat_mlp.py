"""EmbeatMLP: a track's audio features as a point on the unit sphere, near what sounds alike.

Source: the published Embeat model; its tensors' names and its tempo rule (models/features.py) are kept, so that its
weights load unchanged.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.errors import CheckpointMismatch, FeatureShapeError, VectorNotFinite
from models.features import AudioFeatures, can_embed, to_arrays
from models.versions import checkpoint_path, checkpoint_version


@dataclass(frozen=True)
class Config:
    """Sizes of the network, saved beside the weights and compared on load."""

    key_rows: int = 13
    key_width: int = 8
    mode_rows: int = 3
    mode_width: int = 4
    time_signature_rows: int = 6
    time_signature_width: int = 4
    tempo_rows: int = 5
    tempo_width: int = 4
    acoustic_width: int = 7
    tower_width: int = 64
    backbone_width: int = 256
    output_width: int = 64
    dropout: float = 0.1


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
        self.key_embedding = nn.Embedding(config.key_rows, config.key_width)
        self.mode_embedding = nn.Embedding(config.mode_rows, config.mode_width)
        self.time_signature_embedding = nn.Embedding(config.time_signature_rows, config.time_signature_width)
        self.tempo_embedding = nn.Embedding(config.tempo_rows, config.tempo_width)
        discrete = config.key_width + config.mode_width + config.time_signature_width + config.tempo_width
        self.discrete_tower = _tower(discrete, config)
        self.acoustic_tower = _tower(config.acoustic_width, config)
        self.backbone = _backbone(config)

    def forward(self, discrete: Tensor, acoustic: Tensor) -> Tensor:
        """Embed tracks on the unit sphere.

        Args:
            discrete: (B, 4) int64 indices of key, mode, time signature, tempo bin; 0 means "unknown".
            acoustic: (B, 7) float32, each feature in 0..1 less 0.5.

        Returns:
            (B, 64) float32, each row of L2 norm 1, so a dot product is a cosine.

        Raises:
            FeatureShapeError: a column count differs from the config.
        """
        if discrete.shape[1] != 4 or acoustic.shape[1] != self.config.acoustic_width:
            raise FeatureShapeError(
                f"expected 4 and {self.config.acoustic_width} features, got {discrete.shape[1]} and {acoustic.shape[1]}"
            )
        tables = (self.key_embedding, self.mode_embedding, self.time_signature_embedding, self.tempo_embedding)
        looked_up = torch.cat([table(discrete[:, column]) for column, table in enumerate(tables)], dim=1)
        both = torch.cat([self.acoustic_tower(acoustic), self.discrete_tower(looked_up)], dim=1)
        return nn.functional.normalize(self.backbone(both), dim=1)


class EmbeatMLP:
    """A network with its version, ready to embed."""

    def __init__(self, network: Network, version: str) -> None:
        self.network = network.eval()
        self.version = version

    def can_embed(self, features: AudioFeatures) -> bool:
        """Whether enough is known of a track."""
        return can_embed(features)

    def embed(self, tracks: Sequence[AudioFeatures]) -> NDArray[np.float32]:
        """Vectors of tracks.

        Returns:
            (B, 64) float32, each row of L2 norm 1.

        Raises:
            FeaturesMissing: a dense feature of a track is unknown.
            VectorNotFinite: a row is not; none of the batch may be used.
        """
        if not tracks:
            return np.zeros((0, self.network.config.output_width), np.float32)
        discrete, acoustic = to_arrays(tracks)
        with torch.inference_mode():
            vectors: NDArray[np.float32] = self.network(torch.from_numpy(discrete), torch.from_numpy(acoustic)).numpy()
        if not np.isfinite(vectors).all():
            raise VectorNotFinite(
                f"expected finite vectors from {self.version}, got others in a batch of {len(tracks)}"
            )
        return vectors


def load_checkpoint(checkpoint: str | Path | None = None) -> EmbeatMLP:
    """The model in a file: the project's own format (safetensors with a manifest), or the published state dict.

    Raises:
        CheckpointMismatch: the file is missing, damaged, or holds another model.
    """
    path = checkpoint_path(checkpoint)
    version = checkpoint_version(checkpoint)
    config, tensors = _read_own(path) if path.suffix == ".safetensors" else (Config(), _read_published(path))
    network = Network(config)
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise CheckpointMismatch(f"{path}: expected the tensors of {config}, got others: {error}") from error
    return EmbeatMLP(network, version)


def save_checkpoint(network: Network, path: Path, manifest: Mapping[str, Any]) -> None:
    """Write weights as safetensors and, beside them, a JSON manifest with the config and what `manifest` holds."""
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    content = {"model": "embeat_mlp", "config": asdict(network.config), **manifest}
    path.with_suffix(".json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _read_own(path: Path) -> tuple[Config, Mapping[str, Tensor]]:
    manifest = path.with_suffix(".json")
    try:
        content = json.loads(manifest.read_text())
        config = Config(**content["config"])
        return config, load_file(path)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointMismatch(f"{path}: expected weights and a manifest {manifest.name}, got {error}") from error


def _read_published(path: Path) -> Mapping[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointMismatch(f"{path}: expected a state dict of torch, got {str(error).splitlines()[0]}") from error
    found = content.get("model_state_dict", content) if isinstance(content, dict) else content
    if not isinstance(found, dict) or "key_embedding.weight" not in found:
        raise CheckpointMismatch(f"{path}: expected the tensors of EmbeatMLP, got {type(content).__name__}")
    return found
