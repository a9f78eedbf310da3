"""The challenge's figures, on files written by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.importing.errors import ColumnsMissing
from streams.skip_challenge import NoSessions, evaluate_skips, sessions_in

HEADER = (
    "session_id,session_position,session_length,track_id_clean,skip_1,skip_2,skip_3,not_skipped,context_switch,"
    "no_pause_before_play,hour_of_day,premium,context_type"
)


def lines(session_id: str, skips: str, length: int | None = None) -> list[str]:
    """One row a character: `s` = skip_2."""
    return [
        f"{session_id},{place},{length or len(skips)},t_{place},false,{'true' if one == 's' else 'false'},"
        f"{'true' if one == 's' else 'false'},{'false' if one == 's' else 'true'},0,1,12,true,catalog"
        for place, one in enumerate(skips, 1)
    ]


def written(path: Path, *rows: str) -> Path:
    text = "\n".join([HEADER, *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_repeating_the_last_action_is_measured_as_the_challenge_does(tmp_path: Path, name: str) -> None:
    # Known are the positions up to half of the length: two of five, two of four.
    path = written(tmp_path / name, *lines("a", "s-s--"), *lines("b", "-sss"), *lines("c", "s---"))
    found = evaluate_skips(path, seed=1)
    # a: known "s-", wanted "s--", said "---": (0 + 1/2 + 2/3) / 3. b: known "-s", wanted "ss": 1. c: "--" of "--": 1.
    expected = ((1 / 2 + 2 / 3) / 3 + 1 + 1) / 3
    last = found["ways"]["repeat last"]
    assert last["mean average accuracy"]["value"] == pytest.approx(expected, abs=1e-4)
    assert last["first prediction accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert (found["sessions"], found["predictions"]) == (3, 7)
    assert found["left_out"] == {}


def test_the_odd_track_is_predicted(tmp_path: Path) -> None:
    (one,) = sessions_in(written(tmp_path / "log.csv", *lines("a", "s----")), {})
    assert (len(one.known), len(one.wanted)) == (2, 3)


def test_online_learns_what_repeating_cannot_know(tmp_path: Path) -> None:
    # Whoever skipped last does not skip again, and the other way round.
    rows = [line for n in range(200) for line in lines(f"s{n}", "-s--" if n % 2 else "s-ss")]
    ways = evaluate_skips(written(tmp_path / "log.csv", *rows), seed=1)["ways"]
    assert ways["repeat last"]["mean average accuracy"]["value"] == 0
    assert ways["online"]["mean average accuracy"]["value"] > 0.9


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    bad = lines("bad", "ss")
    rows = [*lines("short", "ss", 4), *lines("alone", "s"), bad[0].replace(",true,", ",maybe,"), bad[1]]
    path = written(tmp_path / "log.csv", *rows, "one,cell", *lines("good", "ss"))
    found = evaluate_skips(path, seed=1)
    assert found["sessions"] == 1
    assert found["left_out"] == {
        "session: positions are not 1 to session_length": 3,
        "session: fewer than two tracks": 1,
        "row: a position or length that is no number, or a skip that is neither true nor false": 1,
        "row: another number of columns than the header has": 1,
    }


def test_a_file_without_sessions_or_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSessions, match="got none"):
        evaluate_skips(written(tmp_path / "log.csv"), seed=1)
    (tmp_path / "other.csv").write_text("session_id,track_id_clean\n")
    with pytest.raises(ColumnsMissing, match="session_position"):
        evaluate_skips(tmp_path / "other.csv", seed=1)


def test_the_command_prints_what_was_measured(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", *lines("a", "s-s--"), *lines("b", "-sss"))
    told = CliRunner().invoke(app, ["evaluate", "skips", str(path), "--json"])
    assert told.exit_code == 0, told.output
    assert msgspec.json.decode(told.stdout)["predictions"] == 5
    table = CliRunner().invoke(app, ["evaluate", "skips", str(path)])
    assert "repeat last" in table.output
    assert "5 predictions in 2 sessions" in table.output
