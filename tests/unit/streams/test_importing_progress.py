"""An import knows its own state again, and takes no other for it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from streams.importing.errors import FileUnreadable, ProgressNotKept, TimeUnreadable
from streams.importing.progress import ImportState, drop_state, load_state, save_state, state_path
from streams.importing.refused import Refused, RefusedFile
from streams.importing.times import stamp_ms


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tracks.csv"
    path.write_text("one")
    return path


def test_state_is_found_again_for_the_same_file_and_destination(tmp_path: Path, file: Path) -> None:
    state = ImportState(file="f", items=3, rows=4, sent=2, refused={"x": 2}, updated_at_ms=5)
    save_state(state_path(tmp_path, file, "topic", "id"), state)
    assert load_state(state_path(tmp_path, file, "topic", "id")) == state


@pytest.mark.parametrize("change", ["size", "time", "topic", "id"])
def test_another_file_or_destination_has_another_state(tmp_path: Path, file: Path, change: str) -> None:
    before = state_path(tmp_path, file, "topic", "id")
    identity = {"topic": ("other", "id"), "id": ("topic", "other")}.get(change, ("topic", "id"))
    if change == "size":
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        file.write_text("four")
        os.utime(file, ns=times)
    if change == "time":
        os.utime(file, ns=(1, 1))
    assert state_path(tmp_path, file, *identity) != before


def test_file_that_is_gone_has_no_state(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="does not exist"):
        state_path(tmp_path, tmp_path / "none.csv", "topic")


@pytest.mark.parametrize("content", [b"", b'{"file": "f", "topic', b"[]"])
def test_state_that_was_cut_off_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.json").write_bytes(content)
    assert load_state(tmp_path / "s.json") is None


def test_dropped_state_is_gone_and_dropping_again_is_no_fault(tmp_path: Path) -> None:
    save_state(tmp_path / "imports" / "s.json", ImportState(file="f"))
    drop_state(tmp_path / "imports" / "s.json")
    drop_state(tmp_path / "imports" / "s.json")
    assert list((tmp_path / "imports").iterdir()) == []


def test_state_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "imports").write_text("a file where a directory should be")
    with pytest.raises(ProgressNotKept, match="cannot be kept in"):
        save_state(tmp_path / "imports" / "s.json", ImportState(file="f"))


def test_reasons_add_up() -> None:
    state = ImportState(file="f", refused={"x": 2})
    state.refuse(Counter({"x": 1, "y": 5}))
    assert (state.refused, state.refused_rows) == ({"x": 3, "y": 5}, 8)


def test_refused_rows_of_a_resumed_import_are_added_and_of_a_new_one_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"
    for row, go_on in ((1, False), (2, False), (3, True)):
        with RefusedFile(path, go_on=go_on) as file:
            file.write([Refused(row, 1, "r", "café \udce9")])
    assert path.read_text(encoding="utf-8").splitlines() == [
        '{"row":2,"reason":"r","line":"café \\\\udce9"}',
        '{"row":3,"reason":"r","line":"café \\\\udce9"}',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", 99),
        ("1700000000000", 1_700_000_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000),
        ("1970-01-02", 86_400_000),
    ],
)
def test_stamp_is_read_as_utc(text: str, expected: int) -> None:
    assert stamp_ms(text, now_ms=99) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "1969-12-31", "-5"])
def test_stamp_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(TimeUnreadable, match="expected "):
        stamp_ms(text, now_ms=99)
