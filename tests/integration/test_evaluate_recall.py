"""`throughbeat evaluate recall`: a stack of its own is told of some playlists and asked about the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from streams.cli import app


def files(folder: Path) -> tuple[Path, Path]:
    """Forty artists of four tracks; every playlist is drawn from the twenty tracks of one of eight groups."""
    rng = np.random.default_rng(5)
    head = "track_id,title,artist_id,artist_name,album_id,popularity,danceability,energy,valence,acousticness,tempo"
    lines = [
        f"t{at},Title {at},a{at // 4},Artist {at // 4},b{at // 2},{at % 100},"
        + ",".join(f"{one:.3f}" for one in rng.random(4))
        + f",{90 + at % 60}"
        for at in range(160)
    ]
    tracks, playlists = folder / "tracks.csv", folder / "playlists.csv"
    tracks.write_text("\n".join([head, *lines]))
    rows = [
        f"p{one},{at},t{20 * (one % 8) + member}"
        for one in range(80)
        for at, member in enumerate(rng.permutation(20)[:12])
    ]
    playlists.write_text("\n".join(["playlist_id,position,track_id", *rows]))
    return tracks, playlists


def test_the_pipeline_continues_playlists_that_it_was_not_told_of(tmp_path: Path) -> None:
    tracks, playlists = files(tmp_path)
    arguments = ["evaluate", "recall", "--tracks", str(tracks), "--playlists", str(playlists), "--seeds", "half"]
    result = CliRunner().invoke(app, [*arguments, "--folds", "1", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["given"], found["cases"]) == ("half", 16)
    assert list(found["ways"]) == ["pipeline", "implicit ALS", "item-kNN (BM25)", "popularity"]
    # Six of the group's fourteen others are wanted: a list that knows the group has about six in fourteen right.
    pipeline, popularity = (found["ways"][name]["R-precision"]["value"] for name in ("pipeline", "popularity"))
    assert pipeline > 0.3
    assert found["differences"]["popularity"]["R-precision"]["interval"][0] > 0
    assert pipeline > popularity
    assert found["channels"]["neighbours"]["recall"]["value"] > 0.8
    assert 0 < found["reached"]["pipeline"] <= 1


def test_what_is_given_is_five_or_half() -> None:
    result = CliRunner().invoke(app, ["evaluate", "recall", "--seeds", "third"])
    assert result.exit_code == 2
    assert "expected 5 or half, got 'third'" in result.output.replace("\n", " ")
