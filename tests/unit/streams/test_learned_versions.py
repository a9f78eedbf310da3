"""Versions of what is learned in the data directory: what they tell, which one serves, and how to go back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import tables
from models.embeat_mlp import Config, EmbeatMLP
from models.errors import CheckpointMismatch, UnknownVersion
from models.network import Network, frozen
from models.prior import auc
from models.track2vec import Change
from models.track2vec_state import LearnedState
from streams.cli import learned
from streams.collaborating import tables_from
from streams.errors import NothingToGoBackTo, NotPromoted
from streams.learner import learned_in
from streams.refreshing import directory_of, learned_from, rolled_back
from streams.settings import Settings
from tests.unit.streams.test_collaborating import TRACKS, lists

COLLABORATIVE = tables.MODEL


@pytest.fixture(scope="module")
def model() -> EmbeatMLP:
    return frozen(Network(Config()), "untrained")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def learn(settings: Settings, model: EmbeatMLP, many: int) -> str:
    """A version of so many lists; its offsets say how many."""
    manifest = {"offsets": {"catalog.playlists": {"0": many}}, "made_at_ms": 1_000 + many}
    return tables.save(tables_from(TRACKS, lists(many), model, seed=1, manifest=manifest), directory_of(settings))


def states(settings: Settings, model: str = COLLABORATIVE) -> dict[str, str]:
    return {row["version"]: row["state"] for row in learned.rows(settings, model)}


def test_a_version_tells_what_it_was_made_of_and_is_worth(settings: Settings, model: EmbeatMLP) -> None:
    version = learn(settings, model, 60)
    (row,) = learned.rows(settings, None)
    assert (row["model"], row["version"], row["state"], row["created_at_ms"]) == (
        *(COLLABORATIVE, version, "serves", 1_060),
    )
    assert row["size_bytes"] == (directory_of(settings) / f"{version}.safetensors").stat().st_size
    told = learned.show(settings, "bridge", None)
    assert told == {**learned.show(settings, COLLABORATIVE, version), "model": COLLABORATIVE}
    assert told["offsets"] == {"catalog.playlists": {"0": 60}}
    assert told["parents"] == {"embeat_mlp": "untrained"}
    assert (told["config"]["seed"], told["config"]["factors"]["width"], told["config"]["bridge"]["width"]) == (
        1,
        32,
        64,
    )
    assert (told["metrics"]["tracks"], told["metrics"]["lists"]) == (80, 60)
    assert 0.5 < told["metrics"]["prior_held_out_auc"] <= 1


def test_the_fingerprint_of_the_data_follows_what_was_learned_from(model: EmbeatMLP) -> None:
    def data(tracks: Any, many: int) -> dict[str, str]:
        return dict(tables_from(tracks, lists(many), model, seed=1, manifest={}).manifest["data"])

    first = data(TRACKS, 5)
    assert data(TRACKS[::-1], 5) == first
    other = data(TRACKS, 6)
    assert {name for name in first if first[name] != other[name]} == {"lists"}


def test_the_version_before_serves_again_and_stays_until_another_is_wanted(
    settings: Settings, model: EmbeatMLP
) -> None:
    first, second, third = (learn(settings, model, many) for many in (5, 6, 7))
    assert states(settings) == {third: "serves", second: "here", first: "here"}
    assert not rolled_back(settings)
    assert learned.roll_back(settings, COLLABORATIVE, 0.0) == second
    assert learned.roll_back(settings, COLLABORATIVE, 0.0) == first
    assert rolled_back(settings)
    assert learned_from(settings) == {"catalog.playlists": {"0": 5}}
    with pytest.raises(NothingToGoBackTo, match=first):
        learned.roll_back(settings, COLLABORATIVE, 0.0)
    assert learned.promote(settings, COLLABORATIVE, third, 0.0) == third
    assert not rolled_back(settings)
    learned.roll_back(settings, "bridge", 0.0)
    newest = learn(settings, model, 8)
    assert states(settings)[newest] == "serves"
    assert not rolled_back(settings)


def test_a_file_that_is_damaged_is_refused_by_name_and_what_served_serves(settings: Settings, model: EmbeatMLP) -> None:
    bad, good = learn(settings, model, 5), learn(settings, model, 6)
    path = directory_of(settings) / f"{bad}.safetensors"
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    for refused in (
        lambda: learned.promote(settings, COLLABORATIVE, bad, 0.0),
        lambda: learned.show(settings, COLLABORATIVE, bad),
    ):
        with pytest.raises(CheckpointMismatch, match=rf"{bad}\.safetensors"):
            refused()
    assert states(settings)[good] == "serves"
    path.write_bytes(b"garbage")
    assert states(settings) == {bad: "damaged", good: "serves"}
    with pytest.raises(UnknownVersion, match=rf"got 'nowhere'; there: .*{good}"):
        learned.promote(settings, COLLABORATIVE, "nowhere", 0.0)
    with pytest.raises(UnknownVersion, match="nowhere"):
        learned.show(settings, COLLABORATIVE, "nowhere")


def test_pruning_leaves_what_serves_and_the_newest(settings: Settings, model: EmbeatMLP) -> None:
    first, second, third = (learn(settings, model, many) for many in (5, 6, 7))
    learned.roll_back(settings, COLLABORATIVE, 0.0)
    assert learned.prune(settings, 1) == [first]
    assert learned.prune(settings, 0) == [third]
    assert states(settings) == {second: "serves"}


def test_what_grows_tells_how_far_it_has_read_and_has_nothing_to_go_back_to(settings: Settings) -> None:
    assert learned.rows(settings, None) == []
    with pytest.raises(UnknownVersion, match="got none that serves; there: none"):
        learned.show(settings, "track2vec", None)
    state = LearnedState.open(learned_in(settings) / "grown", None, "grown", 7)
    changes = [
        Change(topic="catalog.playlists", partition=number % 2, offset=number, key=f"p{number}", track_ids=("a", "b"))
        for number in range(6)
    ]
    state.absorb(changes)
    state.close()
    (row,) = learned.rows(settings, "track2vec")
    assert (row["version"], row["state"]) == (state.version, "serves")
    told = learned.show(settings, "track2vec", None)
    # The next offset to read, as of every other model.
    assert told["offsets"] == {"catalog.playlists": {"0": 5, "1": 6}}
    assert (told["metrics"]["tracks"], told["metrics"]["lists"], told["parents"]) == (2, 6, {})
    assert told["config"]["seed"] == 7
    assert len(told["data"]["lists"]) == 64
    with pytest.raises(NotPromoted, match="THROUGHBEAT_TRACK2VEC_CHECKPOINT"):
        learned.roll_back(settings, "track2vec", 0.0)
    damage(learned_in(settings) / "grown" / "track2vec.safetensors")
    assert states(settings, "track2vec") == {"grown": "damaged"}
    with pytest.raises(CheckpointMismatch, match=r"track2vec\.safetensors"):
        learned.show(settings, "track2vec", "grown")


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("seed", range(3))
def test_how_well_a_prior_orders_is_the_share_of_pairs_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, wanted = rng.integers(0, 5, 40).astype(np.float32), rng.random(40) < 0.3
    pairs: list[Any] = [
        1.0 if one > other else 0.5 if one == other else 0.0 for one in scores[wanted] for other in scores[~wanted]
    ]
    assert auc(scores, wanted) == pytest.approx(np.mean(pairs))
