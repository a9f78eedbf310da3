"""`throughbeat train embeat-mlp`: from two files to weights with honest figures beside them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.embeat_mlp import load_checkpoint
from models.errors import TooFewTracks
from models.features import COLUMNS, table
from models.versions import SHIPPED
from streams.cli.train import train_app
from streams.labelled import RULE
from tests.unit.models.sounds import sounds


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A catalogue of 120 tracks, three an artist, all on albums and in ten playlists; four artists are measured on."""
    tracks, playlists = tmp_path / "tracks.csv", tmp_path / "playlists.csv"
    with tracks.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["track_id", "title", "artist_id", "artist_name", "album_id", "album_name", *COLUMNS])
        for row, track in enumerate(sounds(120)):
            artist = f"g{row // 3}"
            sound = ["" if np.isnan(value) else f"{value:g}" for value in table([track])[0]]
            rows.writerow([f"t{row}", f"Song {row}", artist, artist, f"b{row // 3}", "Album", *sound])
    lines = [f"p{row % 10},Mix,{row // 10},t{row}" for row in range(120)]
    playlists.write_text("\n".join(["playlist_id,playlist_name,position,track_id", *lines]) + "\n")
    return ["--tracks", str(tracks), "--playlists", str(playlists)]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(train_app, ["embeat-mlp", *arguments])


def test_training_writes_weights_that_load_and_a_manifest_of_what_they_came_from(
    tmp_path: Path, files: list[str]
) -> None:
    out = tmp_path / "embeat_mlp_tiny.safetensors"
    result = run(*files, "--out", str(out), "--steps", "2", "--batch", "32", "--seed", "5")
    assert result.exit_code == 0, result.output
    assert load_checkpoint(out).embed(sounds(3)).shape == (3, 64)
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert (manifest["training"]["seed"], manifest["training"]["steps"], manifest["training"]["batch"]) == (5, 2, 32)
    assert set(manifest["data"]) == {"tracks.csv", "playlists.csv"}
    assert manifest["held_out"] == RULE
    for share in ("album@10", "artist@10"):
        assert manifest["metrics"]["questions"][share] == {"n": 12, "candidates": 12}
        assert 0 <= manifest["metrics"]["models"]["embeat_mlp_tiny"][share]["value"] <= 0.2  # two of ten at most
        assert share in result.stdout
    assert not list(tmp_path.glob("*.progress"))


def test_a_catalogue_without_anything_to_measure_is_trained_on_all_the_same(tmp_path: Path, files: list[str]) -> None:
    tracks = Path(files[1])
    few = tracks.read_text().splitlines()[:20]
    tracks.write_text("\n".join(few) + "\n")
    result = run(*files, "--out", str(tmp_path / "few.safetensors"), "--steps", "1", "--batch", "4")
    assert result.exit_code == 0, result.output
    assert "nothing to measure" in result.stdout
    assert json.loads((tmp_path / "few.json").read_text())["metrics"]["questions"] == {}


def test_a_catalogue_in_which_nothing_belongs_together_is_refused(tmp_path: Path, files: list[str]) -> None:
    tracks = Path(files[1])
    tracks.write_text("\n".join(tracks.read_text().splitlines()[:2]) + "\n")
    result = run(*files, "--out", str(tmp_path / "none.safetensors"))
    assert isinstance(result.exception, TooFewTracks)
    assert not (tmp_path / "none.safetensors").exists()


@pytest.mark.parametrize(
    ("out", "expected"), [("weights.pt", "ends in .safetensors"), ("nowhere/weights.safetensors", "expected a folder")]
)
def test_what_could_not_be_saved_is_refused_before_training(
    tmp_path: Path, files: list[str], out: str, expected: str
) -> None:
    result = run(*files, "--out", str(tmp_path / out), "--steps", "1")
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.replace("│", " ").split())


def test_the_shipped_weights_are_surely_better_than_published_ones_and_raw_features_on_artists_held_out() -> None:
    metrics = json.loads(SHIPPED.with_suffix(".json").read_text())["metrics"]
    assert metrics["held_out"] == RULE
    assert all(questions["n"] > 400 for questions in metrics["questions"].values())
    assert set(metrics["questions"]) == {"album@10", "artist@10", "genre@10", "cold recall@50", "cold NDCG@50"}
    assert {"published-e2e3c48d", "raw features"} <= set(metrics["differences"])
    for figures in metrics["differences"].values():
        for name, figure in figures.items():
            assert figure["interval"][0] > 0, name
    reached = metrics["models"][SHIPPED.stem]
    least = {"album@10": 0.09, "artist@10": 0.20, "genre@10": 0.51, "cold recall@50": 0.18}
    assert {name: bar for name, bar in least.items() if reached[name]["value"] < bar} == {}
