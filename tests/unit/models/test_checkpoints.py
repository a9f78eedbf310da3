"""A file of weights is loaded whole, or refused by name in one line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from models.embeat_mlp import PUBLISHED_CONFIG, Config, load_checkpoint, shapes_of
from models.errors import CheckpointMismatch
from models.network import Network, frozen, save_checkpoint, thawed
from models.versions import checkpoint_version
from tests.unit.models.sounds import random_state, sounds


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Weights in the project's own format."""
    path = tmp_path / "embeat_mlp_mine.safetensors"
    torch.manual_seed(1)
    save_checkpoint(Network(Config()), path, {"metrics": {"artist@10": 0.5}})
    return path


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Weights in the published format."""
    path = tmp_path / "embeat_mlp_drawn.pt"
    torch.save({"model_state_dict": random_state()}, path)
    return path


def refusal(path: Path) -> str:
    """What loading says; it names the file, in one line."""
    with pytest.raises(CheckpointMismatch) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    return message


def test_saved_weights_give_the_same_vectors_when_loaded(tmp_path: Path) -> None:
    network = Network(Config(tower_width=16, backbone_width=24, output_width=8))
    save_checkpoint(network, tmp_path / "small.safetensors", {})
    loaded = load_checkpoint(tmp_path / "small.safetensors")
    assert loaded.config == network.config
    for name, tensor in network.state_dict().items():
        assert (loaded.tensors[name] == tensor.numpy()).all(), name
    assert (loaded.embed(sounds(20)) == frozen(network, "small").embed(sounds(20))).all()


@pytest.mark.parametrize("config", [Config(), PUBLISHED_CONFIG, Config("rich", 3, 5, 2)])
def test_the_shapes_that_weights_must_have_are_those_of_the_network(config: Config) -> None:
    state = Network(config).state_dict()
    assert shapes_of(config) == {name: tuple(tensor.shape) for name, tensor in state.items()}


def test_a_version_is_the_files_name_and_the_beginning_of_its_sha256(own: Path, published: Path) -> None:
    for path, name in ((own, "mine"), (published, "drawn")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert load_checkpoint(path).version == f"{name}-{digest[:8]}"
        assert checkpoint_version(path) == f"{name}-{digest[:8]}"


def test_new_weights_under_an_old_name_are_a_new_version(own: Path) -> None:
    before = checkpoint_version(own)
    save_checkpoint(Network(Config()), own, {})
    assert checkpoint_version(own) != before
    assert load_checkpoint(own).version == checkpoint_version(own)


def test_the_manifest_tells_model_config_and_sha256_beside_what_it_was_given(own: Path) -> None:
    manifest = json.loads(own.with_suffix(".json").read_text())
    assert manifest["model"] == "embeat_mlp"
    assert manifest["config"]["backbone_width"] == 256
    assert manifest["weights_sha256"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert manifest["metrics"] == {"artist@10": 0.5}


def test_a_share_of_nothing_is_null_in_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "embeat_mlp.safetensors"
    save_checkpoint(Network(Config()), path, {"metrics": {"trained": {"album@10": float("nan"), "artist@10": 0.25}}})
    text = path.with_suffix(".json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["metrics"] == {"trained": {"album@10": None, "artist@10": 0.25}}


def test_weights_are_not_saved_under_a_name_that_could_not_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match=r"mine\.pt: expected a name that ends in \.safetensors"):
        save_checkpoint(Network(Config()), tmp_path / "mine.pt", {})
    assert list(tmp_path.iterdir()) == []


def test_loading_draws_no_random_numbers(own: Path) -> None:
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    load_checkpoint(own)
    assert torch.equal(torch.rand(3), expected)


def test_weights_with_one_bit_changed_are_refused(own: Path) -> None:
    content = bytearray(own.read_bytes())
    content[-5] ^= 1
    own.write_bytes(content)
    assert "expected weights of sha256" in refusal(own)


def test_published_weights_with_one_bit_changed_are_refused(published: Path) -> None:
    content = bytearray(published.read_bytes())
    content[len(content) // 2] ^= 1
    published.write_bytes(content)
    assert "expected a state dict of torch" in refusal(published)


@pytest.mark.parametrize("content", [b"", b"track_id,title\n", b"\x80\x02}q\x00.", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    assert "expected a state dict of torch" in refusal(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_checkpoint_cut_short_is_refused(own: Path, published: Path, share: float) -> None:
    for path in (own, published):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        refusal(path)


def test_safetensors_that_the_manifest_vouches_for_must_still_be_safetensors(own: Path) -> None:
    own.write_bytes(b"not tensors")
    rewrite(own, weights_sha256=hashlib.sha256(b"not tensors").hexdigest())
    assert "expected safetensors" in refusal(own)


def test_numbers_that_numpy_has_not_are_refused_by_name(own: Path) -> None:
    content = safetensors.torch.save({"backbone.8.bias": torch.zeros(64, dtype=torch.bfloat16)})
    own.write_bytes(content)
    rewrite(own, weights_sha256=hashlib.sha256(content).hexdigest())
    assert "expected safetensors of float32, got 'BF16'" in refusal(own)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refusal(tmp_path)
    refusal(tmp_path / "nowhere.pt")


def test_weights_without_their_manifest_are_refused(own: Path) -> None:
    own.with_suffix(".json").unlink()
    assert "embeat_mlp_mine.json" in refusal(own)


def rewrite(path: Path, **changed: Any) -> None:
    """Change entries of a manifest."""
    manifest = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**manifest, **changed}))


def config(**changed: Any) -> dict[str, Any]:
    """A manifest's config with entries changed; `...` takes one out."""
    stated = json.loads(json.dumps({**Config().__dict__, **{k: v for k, v in changed.items() if v is not ...}}))
    return {name: value for name, value in stated.items() if changed.get(name) is not ...}


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "track2vec"},
        {"weights_sha256": "0" * 64},
        {"weights_sha256": None},
        {"config": None},
        {"config": config(backbone_width=128)},
        {"config": config(inputs="published")},
        {"config": config(inputs="raw")},
        {"config": config(inputs=["rich"])},
        {"config": config(backbone_width=10**15)},
        {"config": config(tower_width=-1)},
        {"config": config(tower_width="64")},
        {"config": config(dropout=7)},
        {"config": config(tower_width=True)},
        {"config": config(key_rows=13)},
        {"config": config(dropout=...)},
        {"config": config(heads=4)},
    ],
    ids=str,
)
def test_a_manifest_of_something_else_is_refused(own: Path, changed: dict[str, Any]) -> None:
    rewrite(own, **changed)
    refusal(own)


def test_a_manifest_of_inputs_that_nothing_makes_is_refused_and_they_are_named(own: Path) -> None:
    rewrite(own, config=config(inputs="spectrogram"))
    assert "expected inputs dated or rich or published, got 'spectrogram'" in refusal(own)


def test_weights_for_the_published_inputs_are_loaded_as_such_from_either_format(
    tmp_path: Path, published: Path
) -> None:
    tracks = sounds(5)
    model = load_checkpoint(published)
    save_checkpoint(thawed(model), tmp_path / "again.safetensors", {})
    again = load_checkpoint(tmp_path / "again.safetensors")
    assert again.config.inputs == "published"
    assert (again.embed(tracks) == model.embed(tracks)).all()


def test_our_tensors_in_the_published_format_are_refused_by_name(tmp_path: Path) -> None:
    torch.save(Network(Config()).state_dict(), tmp_path / "ours.pt")
    assert "expected tensor acoustic_tower.0.weight of shape (64, 7), got (64, 28)" in refusal(tmp_path / "ours.pt")


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\ud800", "[" * 100_000])
def test_a_manifest_that_cannot_be_read_is_refused(own: Path, text: str) -> None:
    own.with_suffix(".json").write_bytes(text.encode(errors="surrogatepass"))
    refusal(own)


def without_bias(state: dict[str, Any]) -> None:
    del state["backbone.8.bias"]


def with_another(state: dict[str, Any]) -> None:
    state["popularity_tower.0.weight"] = torch.zeros(3)


def of_another_width(state: dict[str, Any]) -> None:
    state["tempo_embedding.weight"] = torch.zeros(12, 4)


def not_finite(state: dict[str, Any]) -> None:
    state["backbone.4.weight"][3, 3] = torch.nan


def no_tensor(state: dict[str, Any]) -> None:
    state["backbone.8.bias"] = 3.5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_bias, "expected tensor backbone.8.bias of shape (64,), got none"),
        (with_another, "expected tensor popularity_tower.0.weight of shape none, got (3,)"),
        (of_another_width, "expected tensor tempo_embedding.weight of shape (5, 4), got (12, 4)"),
        (not_finite, "expected finite numbers in tensor backbone.4.weight"),
        (no_tensor, "expected tensor backbone.8.bias of shape (64,), got none"),
    ],
)
def test_a_state_dict_that_differs_in_one_tensor_is_refused_and_the_tensor_named(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None], message: str
) -> None:
    state = random_state()
    damage(state)
    torch.save(state, tmp_path / "other.pt")
    assert message in refusal(tmp_path / "other.pt")


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"model_state_dict": Harmful()}, tmp_path / "bad.pt")
    refusal(tmp_path / "bad.pt")
    assert not (tmp_path / "ran").exists()


def test_a_bare_state_dict_is_loaded_as_one_inside_a_checkpoint(tmp_path: Path, published: Path) -> None:
    torch.save(random_state(), tmp_path / "bare.pt")
    tracks = sounds(5)
    assert (load_checkpoint(tmp_path / "bare.pt").embed(tracks) == load_checkpoint(published).embed(tracks)).all()


def test_the_shipped_weights_are_small_float32_and_the_default() -> None:
    model = load_checkpoint()
    assert model.version == load_checkpoint(None).version == checkpoint_version(None)
    assert model.version.startswith("2026-")
    path = Path(__file__).parents[3] / "models" / "weights" / "embeat_mlp_2026.safetensors"
    assert path.stat().st_size < 1_000_000
    dtypes = {str(tensor.dtype) for tensor in safetensors.torch.load_file(path).values()}
    assert dtypes == {"torch.float32", "torch.int64"}  # int64: the batches that a BatchNorm counted
    assert np.isfinite(model.embed(sounds(3))).all()
