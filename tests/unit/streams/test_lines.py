"""Files of any size are read in bounded memory, and what is too long is told by its row."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from streams.importing.errors import FileUnreadable
from streams.importing.rows import BadRow, csv_columns, csv_rows, json_lines, json_members
from streams.lines import LONGEST_LINE, bounded_lines, is_too_long

HUNDRED_MB = 100_000_000


def test_line_of_exactly_the_limit_is_whole_and_one_more_is_cut() -> None:
    fits, over = b"x" * LONGEST_LINE + b"\n", b"y" * (LONGEST_LINE + 1) + b"\n"
    first, second, third = bounded_lines(io.BytesIO(fits + over + b"after"))
    assert (first, is_too_long(first)) == (fits, False)
    assert is_too_long(second)
    assert (third, is_too_long(third)) == (b"after", False)


def test_text_is_cut_the_same_whatever_ends_its_lines() -> None:
    text = "é" * (LONGEST_LINE + 5) + "\r\nb\rc\n" + "é" * (LONGEST_LINE - 1) + "\r\n"
    lines = list(bounded_lines(io.StringIO(text, newline="")))
    assert [is_too_long(line) for line in lines] == [True, False, False, False]
    assert [line.strip()[:1] for line in lines] == ["é", "b", "c", "é"]


def written(path: Path, before: bytes, after: bytes) -> Path:
    """A file with one line of 100 MB between two others."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(before)
        for _ in range(100):
            file.write(b"x" * (HUNDRED_MB // 100))
        file.write(after)
    return path


def test_line_of_a_hundred_megabytes_is_one_bad_row_of_json_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "tracks.jsonl.gz", b'{"a": 1}\n', b'\n\n{"b": 2}\n')
    first, second, third = json_lines(path)
    assert (first, third) == (b'{"a": 1}', b'{"b": 2}')
    assert second == BadRow(2, f"row: a line of more than {LONGEST_LINE} characters", "")


def test_line_of_a_hundred_megabytes_is_one_bad_row_of_csv(tmp_path: Path) -> None:
    path = written(tmp_path / "tracks.csv.gz", b"track_id,title\na,A\n", b"\nb,B\n")
    first, second, third = csv_rows(path, 2)
    assert (first, third) == (["a", "A"], ["b", "B"])
    assert second == BadRow(2, f"row: a line of more than {LONGEST_LINE} characters", "")


def test_header_of_a_hundred_megabytes_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"tracks\.csv\.gz has no readable header: a line of more than"):
        csv_columns(written(tmp_path / "tracks.csv.gz", b"track_id,", b"\na,A\n"), ["track_id"])


def test_reading_such_lines_takes_no_memory_to_speak_of(tmp_path: Path) -> None:
    path = written(tmp_path / "tracks.jsonl.gz", b"{}\n", b"\n")
    program = (
        "import resource, sys; from pathlib import Path; from streams.importing.rows import json_lines\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "list(json_lines(Path(sys.argv[1])))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    grown = int(subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=True).stdout)
    assert grown * (1 if sys.platform == "darwin" else 1024) < 30_000_000


def test_object_that_is_larger_than_is_read_at_once_is_told_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "artists.json"
    path.write_text(json.dumps({"a": "b"}))
    monkeypatch.setattr("streams.importing.rows.LARGEST_OBJECT", path.stat().st_size)
    assert json_members(path) == [("a", "b")]
    monkeypatch.setattr("streams.importing.rows.LARGEST_OBJECT", path.stat().st_size - 1)
    with pytest.raises(FileUnreadable, match=r"artists\.json has more than .*\.jsonl"):
        json_members(path)


def test_object_that_is_nested_without_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "artists.json"
    path.write_bytes(b'{"a": ' + b"[" * 100_000)
    with pytest.raises(FileUnreadable, match="expected one JSON object"):
        json_members(path)
