"""The network gives the vectors that its weights mean."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.embeat_mlp import PUBLISHED_CONFIG, Config, load_checkpoint
from models.errors import FeatureShapeError, FeaturesMissing, VectorNotFinite
from models.features import Sound
from models.network import Network, frozen
from models.published_inputs import DENSE
from tests.unit.models.sounds import expected_vectors, random_state, sound, sounds
from topics.records import Features

SHARED = Path(os.environ.get("THROUGHBEAT_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")


@dataclass(frozen=True)
class Parity:
    """Weights with the vectors that somebody else says they give."""

    checkpoint: Path
    tracks: Sequence[Sound]
    vectors: NDArray[np.float64]


@pytest.fixture
def published_like(tmp_path: Path) -> Path:
    """A checkpoint as the published one is laid out, with drawn weights."""
    path = tmp_path / "embeat_mlp_drawn.pt"
    torch.save({"step": 70, "model_state_dict": random_state(), "config": {"args": {}}}, path)
    return path


@pytest.fixture
def parity(published_like: Path) -> Parity:
    """The published weights and cases; in a clone that has not got them, drawn weights and the numpy forward pass."""
    if not (SHARED / "embeat_mlp_expected.json").exists():
        tracks = sounds(32)
        return Parity(published_like, tracks, expected_vectors(random_state(), tracks))
    cases = json.loads((SHARED / "embeat_mlp_expected.json").read_text())
    tracks = [Sound(msgspec.convert(case["features"], Features)) for case in cases]
    return Parity(SHARED / "embeat_mlp_published.pt", tracks, np.array([case["embedding"] for case in cases]))


def test_every_published_case_is_met_to_five_decimals(parity: Parity) -> None:
    assert len(parity.tracks) == 32
    got = load_checkpoint(parity.checkpoint).embed(parity.tracks)
    np.testing.assert_allclose(got, parity.vectors, atol=1e-5, rtol=0)


def test_the_network_computes_what_plain_numpy_computes(published_like: Path) -> None:
    tracks = sounds(300)
    got = load_checkpoint(published_like).embed(tracks)
    np.testing.assert_allclose(got, expected_vectors(random_state(), tracks), atol=1e-5, rtol=0)


def test_every_vector_has_length_one_and_is_float32() -> None:
    vectors = load_checkpoint().embed(sounds(500))
    assert vectors.dtype == np.dtype(np.float32)
    assert vectors.shape == (500, 64)
    np.testing.assert_allclose(np.sqrt((vectors.astype(float) ** 2).sum(axis=1)), 1, atol=1e-6)


def test_a_track_alone_has_the_vector_that_it_has_in_a_batch_of_4096() -> None:
    model, tracks = load_checkpoint(), sounds(4096)
    batch = model.embed(tracks)
    for at in (0, 1, 2047, 4095):
        np.testing.assert_allclose(model.embed([tracks[at]])[0], batch[at], atol=1e-6, rtol=0)


def test_no_tracks_give_no_vectors() -> None:
    assert load_checkpoint().embed([]).shape == (0, 64)


def test_a_track_of_unknown_sound_is_refused_rather_than_guessed(published_like: Path) -> None:
    with pytest.raises(FeaturesMissing, match="expected valence of track 1, got none"):
        load_checkpoint(published_like).embed([sound(), sound(valence=None)])
    three_known = Sound(Features(energy=0.5, tempo=90.0, key=3, mode=1), 200_000)
    with pytest.raises(FeaturesMissing, match=r"expected 1 more of danceability, loudness, .* of track 1, got none"):
        load_checkpoint().embed([sound(), three_known])
    for unheard in (Sound(None), Sound(None, 200_000), Sound(Features())):
        assert not load_checkpoint().can_embed(unheard)


def test_a_track_of_partly_unknown_sound_lands_near_where_it_would_with_all_known() -> None:
    """Nearer than most of the others do, although a fifth of what is measured is missing."""
    whole = [track for track in sample(400) if load_checkpoint().can_embed(track)]
    partly = [
        one._replace(features=msgspec.structs.replace(one.features, loudness=None, valence=None)) for one in whole
    ]
    cosines = load_checkpoint().embed(partly) @ load_checkpoint().embed(whole).T
    nearer = (cosines > np.diag(cosines)[:, None]).mean(axis=1)
    assert np.median(nearer) < 0.05


def test_the_folded_network_computes_what_the_network_computes() -> None:
    torch.manual_seed(3)
    for config in (Config(), PUBLISHED_CONFIG):
        network = Network(config).eval()
        with torch.no_grad():  # as training leaves them: no normalisation is the identity
            for name, tensor in (*network.named_parameters(), *network.named_buffers()):
                if tensor.is_floating_point():
                    tensor.add_(torch.rand_like(tensor) * (0.5 if "running_var" in name else 0.1))
        model, tracks = frozen(network, "drawn"), sounds(3000)
        inputs = [torch.from_numpy(array) for array in network.inputs.arrays(tracks)]
        with torch.inference_mode():
            np.testing.assert_allclose(model.embed(tracks), network(*inputs).numpy(), atol=2e-6, rtol=0)


def test_discrete_features_outside_the_tables_are_refused_where_a_neighbour_would_be_looked_up() -> None:
    model = frozen(Network(Config()), "drawn")
    discrete, acoustic = model.inputs.arrays([sound()])
    discrete[0, 2] = 6
    with pytest.raises(IndexError, match="expected discrete features below"):
        model.embed_arrays(discrete, acoustic)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_row_without_direction_never_comes_out(value: float) -> None:
    network = Network(Config())
    last = {"backbone.8.weight": torch.full((64, 256), value), "backbone.8.bias": torch.zeros(64)}
    network.load_state_dict(last, strict=False)
    with pytest.raises(VectorNotFinite, match="expected unit vectors from broken"):
        frozen(network, "broken").embed([sound()])


@pytest.mark.parametrize("widths", [(3, 7), (4, 28), (3, 27), (2, 28)])
def test_another_number_of_columns_is_refused_with_both_numbers(widths: tuple[int, int]) -> None:
    discrete, acoustic = torch.zeros(2, widths[0], dtype=torch.int64), torch.zeros(2, widths[1])
    with pytest.raises(
        FeatureShapeError, match=r"expected \(B, 3\) and \(B, 28\) features, got \(2, \d\) and \(2, \d+\)"
    ):
        Network(Config()).eval()(discrete, acoustic)


def test_embedding_leaves_no_gradient_and_no_dropout_behind() -> None:
    model = frozen(Network(Config(dropout=0.9)).train(), "fresh")
    assert (model.embed(sounds(8)) == model.embed(sounds(8))).all()


def sample(count: int) -> list[Sound]:
    """Real tracks, spread over the sample that ships with the project."""
    path = Path(__file__).parents[3] / "streams" / "catalogue" / "sample" / "tracks.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::25]
    known = [{name: row[name] for name in Features.__struct_fields__ if row[name]} for row in rows]
    heard = [msgspec.convert(one, Features, strict=False) for one in known]
    lengths = [int(row["duration_ms"]) if row["duration_ms"] else None for row in rows]
    return [Sound(*one) for one in zip(heard, lengths, strict=True) if set(DENSE) <= set(msgspec.to_builtins(one[0]))][
        :count
    ]


def test_shipped_vectors_are_spread_over_the_sphere() -> None:
    """A collapsed model gives every track one vector: a mean cosine near 1, and hardly a direction to differ in."""
    vectors = load_checkpoint().embed(sample(1000)).astype(float)
    cosines = vectors @ vectors.T
    assert cosines[np.triu_indices(1000, 1)].mean() < 0.6
    variances = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    assert variances.sum() ** 2 / (variances**2).sum() > 4


def test_a_time_signature_that_the_shipped_weights_never_saw_counts_as_unknown() -> None:
    model = load_checkpoint()
    known, unknown = model.embed([sound(time_signature=7)]), model.embed([sound()])
    np.testing.assert_allclose(known, unknown, atol=1e-6, rtol=0)
