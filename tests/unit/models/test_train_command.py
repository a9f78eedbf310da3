"""`throughbeat train embeat-mlp`: from two files to weights with honest figures beside them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.embeat_mlp import load_checkpoint
from models.versions import SHIPPED
from streams.cli.train import train_app
from tests.unit.models.sounds import sounds

DENSE = ["danceability", "energy", "valence", "acousticness", "liveness", "speechiness", "instrumentalness"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A catalogue of 120 tracks, three an artist, all on albums and in ten playlists."""
    tracks, playlists = tmp_path / "tracks.csv", tmp_path / "playlists.csv"
    with tracks.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["track_id", "title", "artist_id", "artist_name", "album_id", "album_name", *DENSE])
        for row, track in enumerate(sounds(120)):
            artist = f"a{row // 3}"
            sound = [round(getattr(track, name), 4) for name in DENSE]
            rows.writerow([f"t{row}", f"Song {row}", artist, artist, f"b{row // 3}", "Album", *sound])
    lines = [f"p{row % 10},Mix,{row // 10},t{row}" for row in range(120)]
    playlists.write_text("\n".join(["playlist_id,playlist_name,position,track_id", *lines]) + "\n")
    return ["--tracks", str(tracks), "--playlists", str(playlists)]


def test_training_writes_weights_that_load_and_a_manifest_of_what_they_came_from(
    tmp_path: Path, files: list[str]
) -> None:
    out = tmp_path / "embeat_mlp_tiny.safetensors"
    result = CliRunner().invoke(train_app, ["embeat-mlp", *files, "--out", str(out), "--steps", "1", "--seed", "5"])
    assert result.exit_code == 0, result.output
    assert load_checkpoint(out).embed(sounds(3)).shape == (3, 64)
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert (manifest["training"]["seed"], manifest["training"]["steps"]) == (5, 1)
    assert set(manifest["data"]) == {"tracks.csv", "playlists.csv"}
    assert manifest["metrics"]["held_out"] == {"artists": 4, "queries": 12}
    for share in ("album@10", "artist@10"):
        assert 0 <= manifest["metrics"]["trained"][share] <= 0.2  # two of ten at most
        assert share in result.stdout


@pytest.mark.parametrize(
    ("out", "expected"), [("weights.pt", "ends in .safetensors"), ("nowhere/weights.safetensors", "expected a folder")]
)
def test_what_could_not_be_saved_is_refused_before_training(
    tmp_path: Path, files: list[str], out: str, expected: str
) -> None:
    result = CliRunner().invoke(train_app, ["embeat-mlp", *files, "--out", str(tmp_path / out), "--steps", "1"])
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.replace("│", " ").split())


def test_the_shipped_manifest_holds_the_figures_of_both_models_on_the_same_queries() -> None:
    manifest = json.loads(SHIPPED.with_suffix(".json").read_text())
    metrics = manifest["metrics"]
    assert metrics["held_out"]["queries"] > 1000
    for model in ("trained", "embeat_mlp_published"):
        shares = [metrics[model][f"{name}@10"] for name in ("album", "artist", "genre")]
        assert all(np.isfinite(share) and 0 < share < 1 for share in shares)
