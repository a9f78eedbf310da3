"""Rows become one record a playlist, and one a chart and day."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from streams.importing.charts import day_ms, open_charts
from streams.importing.errors import ColumnsMissing
from streams.importing.playlists import open_playlists
from streams.importing.run import Chunk, next_chunk
from streams.importing.source import Source
from topics.codec import decode
from topics.errors import RecordRefused
from topics.records import Playlist


def written(folder: Path, lines: list[str], name: str = "playlists.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def chunk_of(source: Source) -> Chunk:
    return next_chunk(source.items(), source, 1, None)


def playlists(source: Source) -> list[Playlist]:
    return [decode(letter.value, Playlist) for letter in chunk_of(source).letters]


def test_scattered_rows_become_one_playlist_each_in_order_of_position(tmp_path: Path) -> None:
    lines = [
        "playlist_id,playlist_name,position,track_id",
        "p1,Зима,10,c",
        "p2,Summer,0,x",
        "p1,Зима,2,b",
        "p1,Зима,0,a",
        "p2,Summer,1,x",
    ]
    assert playlists(open_playlists(written(tmp_path, lines))) == [
        Playlist(playlist_id="p1", name="Зима", track_ids=("a", "b", "c")),
        Playlist(playlist_id="p2", name="Summer", track_ids=("x", "x")),
    ]


def test_rows_without_a_position_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, ["playlist_id,track_id", "p1,b", "p1,a", "p1,c"])
    assert playlists(open_playlists(path)) == [Playlist(playlist_id="p1", track_ids=("b", "a", "c"))]


def test_first_name_and_latest_stamp_hold_for_the_playlist(tmp_path: Path) -> None:
    lines = ["playlist_id,track_id,playlist_name,followers,updated_at_ms", "p1,a,,,9", "p1,b,N,7,10", "p1,c,M,8,2"]
    expected = Playlist(playlist_id="p1", name="N", track_ids=("a", "b", "c"), followers=7, updated_at_ms=10)
    assert playlists(open_playlists(written(tmp_path, lines))) == [expected]


def test_bad_rows_are_refused_and_the_playlist_sent_without_them(tmp_path: Path) -> None:
    lines = ["playlist_id,position,track_id", "p1,first,a", "p1,0,b", "p1,1,", ",0,d", "p1,nan,e", "p1,2"]
    chunk = chunk_of(open_playlists(written(tmp_path, lines)))
    assert [decode(letter.value, Playlist).track_ids for letter in chunk.letters] == [("b",)]
    assert Counter(refused.reason for refused in chunk.refused) == {
        "position: expected a number": 2,
        "track_id: expected an id, got none": 1,
        "playlist_id: expected an id, got none": 1,
        "row: another number of columns than the header has": 1,
    }
    assert [refused.row for refused in chunk.refused] == [1, 3, 4, 5, 6]


def test_refused_playlist_counts_all_its_rows(tmp_path: Path) -> None:
    lines = ["playlist_id,track_id,followers", "p1,a,many", "p1,b,many", "p2,c,3"]
    chunk = chunk_of(open_playlists(written(tmp_path, lines)))
    assert [letter.key for letter in chunk.letters] == [b"p2"]
    assert [(refused.row, refused.rows, refused.reason) for refused in chunk.refused] == [
        (1, 2, "followers: expected int | null, got str")
    ]
    assert chunk.rows == 3


def test_playlist_longer_than_the_contract_allows_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ["playlist_id,track_id", *(f"p1,t{n}" for n in range(20_001))])
    (refused,) = chunk_of(open_playlists(path)).refused
    assert (refused.rows, refused.reason) == (20_001, "track_ids: expected array of length <= 20000")


def test_playlist_larger_than_a_kafka_record_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ["playlist_id,track_id", *(f"p1,{n:0200d}" for n in range(6_000))])
    (refused,) = chunk_of(open_playlists(path)).refused
    assert (refused.rows, refused.reason) == (6_000, "record: too large")


def test_large_playlists_do_not_wait_for_one_another_in_memory(tmp_path: Path) -> None:
    ids = ",".join(f'"{number:0200d}"' for number in range(5_000))
    path = written(tmp_path, [f'{{"playlist_id": "p{n}", "track_ids": [{ids}]}}' for n in range(10)], "p.jsonl")
    source = open_playlists(path)
    items = source.items()
    sizes = [len(chunk.letters) for chunk in iter(lambda: next_chunk(items, source, 1, None), Chunk())]
    # Each playlist is a little over 1 MB, and a chunk ends when it exceeds 4 MiB.
    assert sizes == [5, 5]


def test_json_lines_carry_playlists(tmp_path: Path) -> None:
    path = written(tmp_path, ['{"playlist_id": "p1", "name": "N", "track_ids": ["a"]}'], "playlists.jsonl")
    assert playlists(open_playlists(path)) == [Playlist(playlist_id="p1", name="N", track_ids=("a",))]


def test_missing_playlist_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ColumnsMissing, match=r"lacks the columns playlist_id; it has name, track_id$"):
        open_playlists(written(tmp_path, ["name,track_id", "N,a"]))


def test_charts_become_playlists_in_order_of_their_days(tmp_path: Path) -> None:
    lines = [
        "day,chart,position,track_id,popularity,release_date",
        "2023-11-05,Top 50 - Österreich,1,b,90,2023-01-01",
        "2023-11-05,Top 50 - Österreich,0,a,91,",
        "2023-11-04,Top 50 - Österreich,0,b,90,2023-01-01",
        "2023-11-04,Viral,0,c,,",
        "4 November,Viral,1,d,,",
    ]
    chunk = chunk_of(open_charts(written(tmp_path, lines, "charts.csv")))
    # date -u -d 2023-11-04 +%s000
    saturday, sunday = 1_699_056_000_000, 1_699_142_400_000
    austria, viral = "Top 50 - Österreich", "Viral"
    assert [decode(letter.value, Playlist) for letter in chunk.letters] == [
        Playlist(playlist_id=f"chart:{austria}", name=austria, track_ids=("b",), updated_at_ms=saturday),
        Playlist(playlist_id=f"chart:{viral}", name=viral, track_ids=("c",), updated_at_ms=saturday),
        Playlist(playlist_id=f"chart:{austria}", name=austria, track_ids=("a", "b"), updated_at_ms=sunday),
    ]
    assert [(refused.row, refused.reason) for refused in chunk.refused] == [(5, "day: expected YYYY-MM-DD")]


def test_day_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RecordRefused, match=r"got '2023-02-29'"):
        day_ms("2023-02-29")
