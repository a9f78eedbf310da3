"""Tables come back from their file as they went, and a file that is not whole is refused by its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from models import co_listening
from models import tables as kept
from models.collaborative import learn
from models.errors import CheckpointMismatch
from models.holding import Holding
from models.prior import Folds, Prior, examples, propose, train_prior
from models.tables import Tables, current, load, ordered, promote, read_manifest, save
from tests.unit.models.collaborating import EACH, group_of, lists_of, world

IDS = [f"track {at}" for at in range(8 * EACH)]
OFFSETS = {"catalog.playlists": {"0": 7}}
TWO = 8


@pytest.fixture(scope="module")
def prior() -> Prior:
    return train_prior(examples(world(), lists_of(), Folds(1)), seed=1)


@pytest.fixture(scope="module")
def tables(prior: Prior) -> Tables:
    order = ordered(IDS)
    place = np.argsort(order)
    learned = learn(world().take(order), [place[one] for one in lists_of()])
    listeners = co_listening.learn([place[one] for one in lists_of()], len(IDS))
    return Tables([IDS[at] for at in order.tolist()], learned, prior, {"offsets": OFFSETS}, listeners=listeners)


def test_ids_are_found_again_and_unknown_ones_are_not(tables: Tables) -> None:
    rows = tables.rows([*IDS[:3], "nowhere"])
    assert [tables.track_ids[row] for row in rows[:3]] == IDS[:3]
    assert rows[3] == -1


def test_what_was_saved_answers_as_before(tables: Tables, tmp_path: Path) -> None:
    version = save(tables, tmp_path)
    assert current(tmp_path) == version
    again = load(tmp_path, version)
    assert again.track_ids == list(tables.track_ids)
    assert again.manifest["offsets"] == read_manifest(tmp_path, version)["offsets"] == OFFSETS
    held = tables.rows(IDS[:4])
    before, after = Holding.of(tables.learned, held), Holding.of(again.learned, held)
    for way in ("by_artists", "by_neighbours", "by_factors"):
        assert getattr(after, way)(20)[0].tolist() == getattr(before, way)(20)[0].tolist()
    assert again.listeners is not None
    assert tables.listeners is not None
    told, told_before = (
        one.candidates(held, np.ones(4, np.float32), 20) for one in (again.listeners, tables.listeners)
    )
    assert len(told[0]) == 20
    assert [part.tolist() for part in told] == [part.tolist() for part in told_before]
    rows = propose(before)
    items = tables.learned.items.take(rows)
    assert tables.prior is not None
    assert again.prior is not None
    assert again.prior.scores(after, rows, items) == pytest.approx(tables.prior.scores(before, rows, items), abs=1e-6)


def test_a_file_from_before_there_were_listeners_has_none(tables: Tables, tmp_path: Path) -> None:
    version = save(dataclasses.replace(tables, listeners=None), tmp_path)
    assert load(tmp_path, version).listeners is None


def test_the_same_tables_are_the_same_version(tables: Tables, tmp_path: Path) -> None:
    assert save(tables, tmp_path / "a") == save(tables, tmp_path / "b")


@pytest.mark.parametrize("at", [0.3, 0.9])
def test_a_flipped_byte_is_noticed_and_the_file_named(tables: Tables, tmp_path: Path, at: float) -> None:
    version = save(tables, tmp_path)
    path = tmp_path / f"{version}.safetensors"
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatch, match=version):
        load(tmp_path, version)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_is_no_file_of_tables_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointMismatch, match=r"x\.safetensors"):
        load(tmp_path, "x")
    with pytest.raises(CheckpointMismatch, match="nothing"):
        promote(tmp_path, "nothing")


def test_the_last_versions_stay_and_one_of_them_can_serve_again(tables: Tables, tmp_path: Path) -> None:
    versions = [save(Tables(tables.track_ids, learn(world(), lists_of(seed)), None, {}), tmp_path) for seed in range(5)]
    assert {path.stem for path in tmp_path.glob("*.safetensors")} == set(versions[-kept.KEPT :])
    promote(tmp_path, versions[-2])
    assert current(tmp_path) == versions[-2]


def test_the_prior_puts_the_group_of_what_is_held_first(tables: Tables, prior: Prior) -> None:
    learned = learn(world(), lists_of())
    somebody = Holding.of(learned, lists_of(seed=50)[6][:5])
    rows = np.setdiff1d(np.arange(8 * EACH), somebody.rows)
    scores = prior.scores(somebody, rows, learned.items.take(rows))
    assert group_of(rows[np.argsort(-scores)[:8]]) == {6}


def test_examples_are_out_of_fold_and_only_of_what_is_proposed() -> None:
    """The first trap: what a list names and nothing proposes would teach that the unknown is wanted."""
    lists = [np.arange(at * TWO, at * TWO + TWO) for at in range(20)] * 3
    held_once = np.arange(20 * TWO, 20 * TWO + TWO)  # nothing but its own list knows any of it
    found = list(examples(world(), [*lists, held_once], Folds(1)))
    assert found
    for one, wanted in found:
        # Each of the lists is there three times, so two at most are known to those who learned without it.
        assert np.expm1(one["lists"][wanted]).max() <= 2.001
        assert (one["artist_score"][wanted] > 0).all()
