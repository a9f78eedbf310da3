"""EmbeatMLP: a track's sound as a point on the unit sphere, near what sounds alike.

Source: the published Embeat model; its tensors' names and its inputs (models/published_inputs.py) are kept, so that its
weights load unchanged beside our own, which read more of a track (models/rich_inputs.py).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from models.errors import CheckpointMismatch, FeatureShapeError, VectorNotFinite
from models.features import Audible
from models.folded import Folded
from models.published_inputs import PUBLISHED
from models.rich_inputs import RICH
from models.versions import checkpoint_path, read_weights, version_of

MODEL = "embeat_mlp"
WIDTH_MAX = 4096


INPUTS = {one.name: one for one in (RICH, PUBLISHED)}


@dataclass(frozen=True)
class Config:
    """Inputs and sizes of the network, saved beside the weights and compared on load."""

    inputs: str = RICH.name
    tower_width: int = 64
    backbone_width: int = 256
    output_width: int = 64
    dropout: float = 0.1

    def check(self) -> None:
        """Refuse inputs that nothing here makes, and widths that no network of this kind has.

        Raises:
            ValueError: other inputs, or a width out of bounds.
        """
        if self.inputs not in INPUTS:
            raise ValueError(f"expected inputs {' or '.join(INPUTS)}, got {self.inputs!r}")
        for name, size in asdict(self).items():
            if name.endswith("_width") and not (type(size) is int and 1 <= size <= WIDTH_MAX):
                raise ValueError(f"expected 1 to {WIDTH_MAX} for {name}, got {size!r}")


PUBLISHED_CONFIG = Config(inputs=PUBLISHED.name)


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
        for name, rows, width in self.inputs.tables:
            self.add_module(f"{name}_embedding", nn.Embedding(rows, width))
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
        self.check_columns(discrete, acoustic)
        return nn.functional.normalize(self.direction(discrete, acoustic), dim=1)

    def direction(self, discrete: Tensor, acoustic: Tensor) -> Tensor:
        """(B, 64) where each track lies, before its length becomes 1."""
        both = torch.cat([self.acoustic_tower(acoustic), self.discrete_half(discrete)], dim=1)
        direction: Tensor = self.backbone(both)
        return direction

    def discrete_half(self, discrete: Tensor) -> Tensor:
        """(B, tower_width) what the discrete tower says."""
        looked_up = [table(discrete[:, column]) for column, table in enumerate(self.tables)]
        half: Tensor = self.discrete_tower(torch.cat(looked_up, dim=1))
        return half

    def check_columns(self, discrete: Tensor, acoustic: Tensor) -> None:
        """Raise FeatureShapeError unless both have the columns of the inputs."""
        expected = len(self.inputs.tables), self.inputs.width
        if (discrete.ndim, acoustic.ndim, discrete.shape[-1], acoustic.shape[-1]) != (2, 2, *expected):
            raise FeatureShapeError(
                f"expected (B, {expected[0]}) and (B, {expected[1]}) features, "
                f"got {tuple(discrete.shape)} and {tuple(acoustic.shape)}"
            )


class EmbeatMLP:
    """A network with its version, ready to embed.

    Attributes:
        manifest: what the file's manifest says of its training; nothing for the published format.
    """

    def __init__(self, network: Network, version: str, manifest: Mapping[str, Any] | None = None) -> None:
        self.network = network.eval()
        self.version = version
        self.manifest = manifest or {}
        self._folded = Folded(network)

    @property
    def learned_playlists(self) -> bool:
        """Whether playlists were among what it learned from: asked to continue these, it would know the answer."""
        training = self.manifest.get("training") or {}
        return bool((training.get("shares") or {}).get("playlist"))

    def can_embed(self, track: Audible) -> bool:
        """Whether enough is known of a track."""
        return self.network.inputs.can_embed(track)

    def lacking(self, track: Audible) -> str | None:
        """What more must be known of a track, in words; `None` if it can be embedded."""
        return self.network.inputs.lacking(track)

    def embed(self, tracks: Sequence[Audible]) -> NDArray[np.float32]:
        """Vectors of tracks.

        Returns:
            (B, 64) float32, each row of L2 norm 1.

        Raises:
            FeaturesMissing: too little is known of a track.
            VectorNotFinite: a row has no direction; none of the batch may be used.
        """
        return self.embed_arrays(*self.network.inputs.arrays(tracks))

    def embed_arrays(self, discrete: NDArray[np.int64], acoustic: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `embed`, of the network's two inputs."""
        vectors = self._folded(torch.from_numpy(discrete), torch.from_numpy(acoustic)).numpy()
        squares = np.einsum("ij,ij->i", vectors, vectors)
        if not (np.abs(squares - 1) < 1e-3).all():  # NaN fails every comparison
            raise VectorNotFinite(f"expected unit vectors from {self.version}, got others in a batch of {len(vectors)}")
        return vectors


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


def load_checkpoint(checkpoint: str | Path | None = None) -> EmbeatMLP:
    """The model in a file: the project's own format (safetensors with a manifest), or the published state dict.

    Raises:
        CheckpointMismatch: the file is missing, damaged, or holds another model.
    """
    path = checkpoint_path(checkpoint)
    content = read_weights(path)
    try:
        if path.suffix == ".safetensors":
            manifest, config, tensors = _read_own(path, content)
        else:
            manifest, config, tensors = {}, PUBLISHED_CONFIG, _read_published(content)
        network = _assemble(config, tensors)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise CheckpointMismatch(f"{path}: {_one_line(error)}") from error
    return EmbeatMLP(network, version_of(path, content), manifest)


def _read_own(path: Path, content: bytes) -> tuple[Mapping[str, Any], Config, Mapping[str, Tensor]]:
    """Manifest, config and tensors, once the manifest has been found to be about these weights."""
    manifest = json.loads(path.with_suffix(".json").read_bytes())
    if not isinstance(manifest, dict) or manifest.get("model") != MODEL:
        raise ValueError(f"expected a manifest of {MODEL} in {path.with_suffix('.json').name}, got another")
    digest = hashlib.sha256(content).hexdigest()
    if manifest.get("weights_sha256") != digest:
        raise ValueError(f"expected weights of sha256 {manifest.get('weights_sha256')}, got {digest}")
    stated = manifest.get("config")
    config = Config(**stated) if isinstance(stated, dict) else Config()
    if asdict(config) != stated:
        raise ValueError(f"expected a config of {', '.join(asdict(config))}, got {stated}")
    try:
        return manifest, config, safetensors.torch.load(content)
    except SafetensorError as error:
        raise ValueError(f"expected safetensors, got {error}") from error


def _read_published(content: bytes) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint of torch, whose checksums torch itself does not compare."""
    try:
        damaged = zipfile.ZipFile(io.BytesIO(content)).testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} is damaged")
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes lead it to: KeyError, IndexError, Unicode…
        raise ValueError(f"expected a state dict of torch, got: {_one_line(error)}") from error
    tensors = found.get("model_state_dict", found) if isinstance(found, dict) else None
    if not isinstance(tensors, dict):
        raise ValueError(f"expected a state dict of {MODEL}, got {type(found).__name__}")
    return tensors


def _assemble(config: Config, tensors: Mapping[str, Tensor]) -> Network:
    """A network of these tensors, none of which is missing, left over, of another shape, or not finite."""
    config.check()
    with torch.random.fork_rng(devices=[]):  # the first weights are drawn, and thrown away
        network = Network(config)
    expected = network.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        _compare(name, expected.get(name), tensors.get(name))
    network.load_state_dict(dict(tensors))
    return network


def _compare(name: str, expected: Tensor | None, got: Tensor | None) -> None:
    shapes = [str(tuple(one.shape)) if isinstance(one, Tensor) else "none" for one in (expected, got)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"expected tensor {name} of shape {shapes[0]}, got {shapes[1]}")
    if got is not None and not torch.isfinite(got).all():
        raise ValueError(f"expected finite numbers in tensor {name}, got others")


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _nan_as_null(value: Any) -> Any:
    """What JSON can hold: a share of nothing is not a number, and is written as null."""
    if isinstance(value, Mapping):
        return {key: _nan_as_null(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
