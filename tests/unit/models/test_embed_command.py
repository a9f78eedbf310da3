"""`throughbeat embed`: each line becomes a vector, in order, or is named."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from models.embeat_mlp import EmbeatMLP, load_checkpoint
from models.features import Sound
from streams.cli import embed as command
from streams.cli.embed import BadLine, embed, embed_lines, read_sound
from tests.unit.models.sounds import random_state, sounds
from topics.codec import encode
from topics.records import Track

LINE = json.dumps({**json.loads(encode(sounds(1)[0].features)), "duration_ms": sounds(1)[0].duration_ms})


def run(text: str | bytes, *arguments: str) -> Result:
    """The command in an application of its own, as any program would register it."""
    app = typer.Typer()
    app.command("embed")(embed)
    return CliRunner().invoke(app, arguments or ["-"], input=text)


def vectors(out: str) -> list[list[float]]:
    return [json.loads(line)["embedding"] for line in out.splitlines()]


def lines_of(tracks: list[Sound]) -> bytes:
    """As tracks of the catalogue state them."""
    whole = [
        Track(track_id="t", title="T", artists=(), features=one.features, duration_ms=one.duration_ms) for one in tracks
    ]
    return b"".join(encode(one) + b"\n" for one in whole)


@pytest.fixture(scope="module")
def model() -> EmbeatMLP:
    return load_checkpoint()


def test_each_line_gives_its_vector_in_order(model: EmbeatMLP) -> None:
    tracks = sounds(20)
    result = run(lines_of(tracks))
    assert result.exit_code == 0
    np.testing.assert_allclose(vectors(result.stdout), model.embed(tracks), atol=1e-6)


def test_features_under_a_name_of_their_own_count_as_bare_ones() -> None:
    result = run(f'{LINE}\n{{"track_id": "t", "features": {LINE}}}\n')
    bare, nested = vectors(result.stdout)
    np.testing.assert_allclose(bare, nested, atol=1e-6)


def test_the_length_counts_where_audio_analyses_and_where_tracks_have_it() -> None:
    features = {"energy": 0.5, "valence": 0.2, "loudness": -7, "tempo": 100}
    among = json.dumps({**features, "duration_ms": 100_000})
    beside = json.dumps({"features": features, "duration_ms": 100_000})
    unknown = json.dumps(features)
    one, other, without = vectors(run(f"{among}\n{beside}\n{unknown}\n").stdout)
    assert one == other
    assert not np.allclose(one, without)


@pytest.mark.parametrize("said", [{"release_date": "1979-11-30"}, {"album": {"name": "A", "release_date": "1979"}}])
def test_the_year_of_a_release_counts_wherever_it_is_said(said: dict[str, object]) -> None:
    features = json.loads(LINE)
    dated, nested, undated = (
        json.dumps(one) for one in ({**features, **said}, {"features": features, **said}, {**features, "album": "A"})
    )
    one, other, without = vectors(run(f"{dated}\n{nested}\n{undated}\n").stdout)
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert not np.allclose(one, without, atol=1e-3)


def test_what_weights_of_the_published_inputs_need_is_said_of_them(tmp_path: Path) -> None:
    torch.save(random_state(), tmp_path / "published.pt")
    line = LINE.replace('"energy":', '"energy":null,"x":')
    result = run(f"{LINE}\n{line}\n", "-", "--checkpoint", str(tmp_path / "published.pt"))
    assert result.exit_code == 2
    assert "line 2: expected energy, got none" in result.stderr


def test_a_file_is_read_as_a_pipe_is(tmp_path: Path) -> None:
    (tmp_path / "tracks.jsonl").write_text(f"{LINE}\n{LINE}")
    assert run("", str(tmp_path / "tracks.jsonl")).stdout == run(f"{LINE}\n{LINE}\n").stdout


def test_another_checkpoint_gives_other_vectors(tmp_path: Path) -> None:
    from models.embeat_mlp import Config
    from models.network import Network, save_checkpoint

    path = tmp_path / "embeat_mlp_other.safetensors"
    save_checkpoint(Network(Config()), path, {})
    got = vectors(run(LINE, "-", "--checkpoint", str(path)).stdout)
    np.testing.assert_allclose(got, load_checkpoint(path).embed(sounds(1)), atol=1e-6)


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_nothing_in_gives_nothing_out(text: str) -> None:
    result = run(text)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "expected JSON"),
        ('{"danceability": NaN}', "expected JSON"),
        ("[1, 2]", "Expected `object`"),
        ("{}", "expected 4 more of danceability, energy"),
        ('{"features": null}', "expected an object of features, got null"),
        ('{"features": 3}', "$.features"),
        (LINE.replace('"danceability": ', '"danceability":9'), "$.danceability"),
        ('{"loudness": -5, "key": 3, "energy": 0.5, "tempo": 99, "valence": null}', "expected 1 more of danceability"),
        ('{"features": {"energy": 0.5}, "duration_ms": -1}', "$.duration_ms"),
        (LINE.replace("{", '{"release_date": "last May", ', 1), "$.release_date"),
        (f'{{"features": {LINE.replace("tempo", "tempo_").replace("}", "")}, "tempo": 301}}}}', "$.features.tempo"),
    ],
)
def test_a_bad_line_is_named_after_the_vectors_before_it_and_the_exit_code_is_two(line: str, reason: str) -> None:
    result = run(f"{LINE}\n\n{LINE}\n{line}\n{LINE}\n")
    assert result.exit_code == 2
    assert len(vectors(result.stdout)) == 2
    assert result.stderr.startswith("throughbeat: line 4: ")
    assert reason in result.stderr
    assert result.stderr.endswith("(the 2 before it were embedded)\n")
    assert len(result.stderr.splitlines()) == 1


def test_a_line_that_is_no_utf8_is_named() -> None:
    result = run(b'{"danceability": "\xff\xfe"}\n')
    assert result.exit_code == 2
    assert "throughbeat: line 1: " in result.stderr


def test_deep_nesting_is_a_bad_line_and_no_crash() -> None:
    with pytest.raises(BadLine):
        read_sound(load_checkpoint(), b'{"x": ' + b"[" * 100_000)


def test_a_bad_line_of_a_later_batch_is_counted_from_the_first_line(
    model: EmbeatMLP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BATCH", 4)
    out = io.BytesIO()
    with pytest.raises(BadLine, match=r"line 7: .*\(the 6 before it were embedded\)"):
        embed_lines(model, io.BytesIO(lines_of(sounds(6)) + b"{}\n" + lines_of(sounds(3))), out)
    np.testing.assert_allclose(vectors(out.getvalue().decode()), model.embed(sounds(6)), atol=1e-6)


def test_a_batch_is_written_before_the_next_is_read(model: EmbeatMLP, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BATCH", 4)
    behind, written = io.BytesIO(), []
    out = io.BufferedWriter(behind, 1 << 20)

    class Watched(io.BytesIO):
        def __next__(self) -> bytes:
            written.append(behind.getvalue().count(b"\n"))
            return super().__next__()

    embed_lines(model, Watched(lines_of(sounds(10))), out)
    assert written == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8]


def test_a_missing_file_and_a_folder_are_wrong_arguments(tmp_path: Path) -> None:
    for path, got in ((tmp_path / "none.jsonl", "none"), (tmp_path, "a folder")):
        result = run("", str(path))
        assert result.exit_code == 2
        assert got in result.stderr


def test_importing_the_commands_does_not_load_torch() -> None:
    code = "import sys, streams.cli.embed, streams.cli.train; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
