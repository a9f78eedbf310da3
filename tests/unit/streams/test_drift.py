"""What `evaluate drift` says, against figures worked by hand and structure that is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.errors import TooFewTracks
from models.track2vec import Config
from models.track2vec_file import load
from streams.cli.evaluate import evaluate_app
from streams.cli.train import train_app
from streams.drift import Asked, asked_of, measure_drift, ndcg
from tests.unit.models.test_track2vec import group_lists, purity


@pytest.fixture
def playlists(tmp_path: Path) -> Path:
    """160 playlists of eleven or twelve tracks of one of four groups."""
    path = tmp_path / "playlists.csv"
    lines = [
        f"{change.key},Mix,{position},{track_id}"
        for change in [*group_lists(80), *group_lists(80, seed=6, first=1000)]
        for position, track_id in enumerate(dict.fromkeys([*(change.track_ids or ()), *more(change.key)]))
    ]
    path.write_text("\n".join(["playlist_id,playlist_name,position,track_id", *lines]) + "\n")
    return path


def more(key: str) -> list[str]:
    """Eleven tracks of the list's group: with its own eight it is long enough to be asked about."""
    group = int(key.removeprefix("p:")) % 4
    return [f"g{group}t{n}" for n in range(11)]


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_ndcg_is_the_gain_of_what_was_found_over_the_best_there_is() -> None:
    # On a line of growing angle to what is given, rows 0 to 5; wanted are the second and the fourth of the others.
    angles = np.radians([0, 10, 20, 30, 40, 50])
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = ndcg(places, Asked(rows(0), rows(2, 4), 3))
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert ndcg(places, Asked(rows(0), rows(2, 4), 3), k=2) == pytest.approx(
        (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    )
    assert ndcg(places, Asked(rows(), rows(2), 1)) == 0


def test_track_that_no_training_held_is_wanted_and_no_candidate() -> None:
    known = {"a": 0, "b": 1, "c": 2}
    whole = asked_of(("a", "b", "x", "c"), 2, known, whole=True)
    assert (whole.given.tolist(), whole.wanted.tolist(), whole.count) == ([0, 1], [2], 2)
    assert asked_of(("a", "b", "x", "c"), 2, known, whole=False).count == 1


def test_growing_finds_groups_as_training_on_all_does() -> None:
    lists = [tuple(dict.fromkeys([*(one.track_ids or ()), *more(one.key)])) for one in group_lists(100)]
    told: list[tuple[int, int]] = []
    found = measure_drift(
        lists,
        Config(dimensions=16, passes=15, stream_passes=10),
        share=0.2,
        folds=2,
        seed=3,
        on_step=lambda name, done, total: told.append((done, total)),
    )
    measure = found["measures"]["first half given"]
    assert measure["playlists"] == 40
    assert measure["ndcg"]["full"] > 0.9
    assert measure["grown over full"] > 0.97
    low, high = measure["differences"]["known after less before"]["interval"]
    assert low <= measure["differences"]["known after less before"]["value"] <= high
    assert 0 < found["drift"] < 0.2
    assert told[-1] == (31, 31)
    assert [done for done, _ in told[:32]] == sorted(done for done, _ in told[:32])


def test_too_few_playlists_are_said() -> None:
    with pytest.raises(TooFewTracks, match="10"):
        measure_drift([("a", "b")] * 3, Config(), share=0.2, folds=1, seed=3)


def run(app: object, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])  # type: ignore[arg-type]


def test_command_prints_figures_for_a_program_or_a_person(playlists: Path) -> None:
    asked = ("drift", "--playlists", playlists, "--folds", "1", "--passes", "3")
    done = run(evaluate_app, *asked, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["data"].keys() == {"playlists.csv"}
    assert found["config"]["passes"] == 3
    shown = run(evaluate_app, *asked)
    assert "grown over trained on all" in shown.stdout


def test_training_writes_one_file_that_a_worker_can_begin_with(playlists: Path, tmp_path: Path) -> None:
    out = tmp_path / "track2vec_mine.safetensors"
    done = run(train_app, "track2vec", "--playlists", playlists, "--out", out, "--passes", "15")
    assert done.exit_code == 0, done.output
    model, manifest = load(out)
    assert purity(model) > 0.95
    assert (manifest["tracks"], manifest["lists"], model.seed) == (48, 160, 7)
    assert manifest["data"].keys() == {"playlists.csv"}
    assert not list(tmp_path.glob("*.progress"))


def test_out_that_cannot_be_written_is_refused_at_once(playlists: Path, tmp_path: Path) -> None:
    done = run(train_app, "track2vec", "--playlists", playlists, "--out", tmp_path / "no" / "x.safetensors")
    assert done.exit_code == 2
