"""EmbeatMLP: a track's sound as a point on the unit sphere, near what sounds alike.

Source: the published Embeat model; its tensors' names and its inputs (models/published_inputs.py) are kept, so that its
weights load unchanged beside our own, which read more of a track (models/rich_inputs.py). It is trained with torch
(models/network.py).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from models.errors import CheckpointMismatch, VectorNotFinite
from models.features import Audible
from models.folded import Folded, Tensors
from models.published_inputs import PUBLISHED
from models.rich_inputs import DATED, RICH
from models.versions import checkpoint_path, read_weights, version_of

MODEL = "embeat_mlp"
WIDTH_MAX = 4096


INPUTS = {one.name: one for one in (DATED, RICH, PUBLISHED)}


@dataclass(frozen=True)
class Config:
    """Inputs and sizes of the network, saved beside the weights and compared on load."""

    inputs: str = DATED.name
    tower_width: int = 64
    backbone_width: int = 256
    output_width: int = 64
    dropout: float = 0.0

    def check(self) -> None:
        """Refuse inputs that nothing here makes, and sizes that no network of this kind has.

        Raises:
            ValueError: other inputs, or a size out of bounds.
        """
        if self.inputs not in INPUTS:
            raise ValueError(f"expected inputs {' or '.join(INPUTS)}, got {self.inputs!r}")
        for name, size in asdict(self).items():
            if name.endswith("_width") and not (type(size) is int and 1 <= size <= WIDTH_MAX):
                raise ValueError(f"expected 1 to {WIDTH_MAX} for {name}, got {size!r}")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"expected 0 to 1 for dropout, got {self.dropout!r}")


PUBLISHED_CONFIG = Config(inputs=PUBLISHED.name)


class EmbeatMLP:
    """Weights with their version, ready to embed.

    Attributes:
        config: of the network that was trained.
        inputs: what it is fed.
        tensors: the network's state, by name.
        manifest: what the file's manifest says of its training; nothing for the published format.
    """

    def __init__(
        self, config: Config, tensors: Tensors, version: str, manifest: Mapping[str, Any] | None = None
    ) -> None:
        self.config = config
        self.inputs = INPUTS[config.inputs]
        self.tensors = tensors
        self.version = version
        self.manifest = manifest or {}
        self._folded = Folded(self.inputs, tensors)

    @property
    def learned_playlists(self) -> bool:
        """Whether playlists were among what it learned from: asked to continue these, it would know the answer."""
        training = self.manifest.get("training") or {}
        return bool((training.get("shares") or {}).get("playlist"))

    def can_embed(self, track: Audible) -> bool:
        """Whether enough is known of a track."""
        return self.inputs.can_embed(track)

    def lacking(self, track: Audible) -> str | None:
        """What more must be known of a track, in words; `None` if it can be embedded."""
        return self.inputs.lacking(track)

    def embed(self, tracks: Sequence[Audible]) -> NDArray[np.float32]:
        """Vectors of tracks.

        Returns:
            (B, 64) float32, each row of L2 norm 1.

        Raises:
            FeaturesMissing: too little is known of a track.
            VectorNotFinite: a row has no direction; none of the batch may be used.
        """
        return self.embed_arrays(*self.inputs.arrays(tracks))

    def embed_arrays(self, discrete: NDArray[np.int64], acoustic: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `embed`, of the network's two inputs."""
        vectors = self._folded(discrete, acoustic)
        squares = np.einsum("ij,ij->i", vectors, vectors)
        if not (np.abs(squares - 1) < 1e-3).all():  # NaN fails every comparison
            raise VectorNotFinite(f"expected unit vectors from {self.version}, got others in a batch of {len(vectors)}")
        return vectors


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
        _check(config, tensors)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise CheckpointMismatch(f"{path}: {_one_line(error)}") from error
    return EmbeatMLP(config, tensors, version_of(path, content), manifest)


def _read_own(path: Path, content: bytes) -> tuple[Mapping[str, Any], Config, Tensors]:
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
        return manifest, config, safetensors.numpy.load(content)
    except (SafetensorError, KeyError) as error:  # KeyError: of numbers that NumPy has not, such as bfloat16
        raise ValueError(f"expected safetensors of float32, got {error}") from error


def _read_published(content: bytes) -> Tensors:
    """The tensors of a checkpoint of torch, whose checksums torch itself does not compare."""
    import torch  # takes seconds, and is wanted for this format alone

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
    return {name: one.numpy() for name, one in tensors.items() if isinstance(one, torch.Tensor)}


def _check(config: Config, tensors: Tensors) -> None:
    """Raise ValueError if a tensor of the network is missing, left over, of another shape, or not finite."""
    config.check()
    expected = shapes_of(config)
    for name in sorted(expected.keys() | tensors.keys()):
        got = tensors.get(name)
        shapes = expected.get(name, "none"), "none" if got is None else got.shape
        if shapes[0] != shapes[1]:
            raise ValueError(f"expected tensor {name} of shape {shapes[0]}, got {shapes[1]}")
        if got is not None and not np.isfinite(got).all():
            raise ValueError(f"expected finite numbers in tensor {name}, got others")


def shapes_of(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in the state of a network, by name."""
    inputs, tower, backbone = INPUTS[config.inputs], config.tower_width, config.backbone_width
    tables: dict[str, tuple[int, ...]] = {
        f"{table.name}_embedding.weight": (table.rows, table.width) for table in inputs.tables
    }
    return {
        **tables,
        **_block("discrete_tower", 0, sum(table.width for table in inputs.tables), tower),
        **_block("discrete_tower", 3, tower, tower),
        **_block("acoustic_tower", 0, inputs.width, tower),
        **_block("acoustic_tower", 3, tower, tower),
        **_block("backbone", 0, 2 * tower, backbone),
        **_block("backbone", 4, backbone, backbone),
        **_linear("backbone.8", backbone, config.output_width),
    }


def _block(stack: str, at: int, width: int, out: int) -> dict[str, tuple[int, ...]]:
    """A linear layer, a normalisation and a PReLU, one after the other."""
    norm = f"{stack}.{at + 1}"
    kept = {f"{norm}.{name}": (out,) for name in ("weight", "bias", "running_mean", "running_var")}
    counted: dict[str, tuple[int, ...]] = {f"{norm}.num_batches_tracked": (), f"{stack}.{at + 2}.weight": (1,)}
    return _linear(f"{stack}.{at}", width, out) | kept | counted


def _linear(layer: str, width: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{layer}.weight": (out, width), f"{layer}.bias": (out,)}


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
