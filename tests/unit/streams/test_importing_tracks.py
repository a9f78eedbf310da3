"""Rows of tracks become records of the contract, or are refused with a reason."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from streams.importing.errors import ColumnsMissing, FileUnreadable
from streams.importing.run import next_chunk
from streams.importing.source import Letter, letter_of
from streams.importing.tracks import open_tracks, track_converter
from topics.codec import decode
from topics.errors import RecordRefused
from topics.records import Album, ArtistRef, Features, Track

HEADER = (
    "track_id,title,artist_id,artist_name,album_id,album_name,release_date,popularity,explicit,danceability,energy,key,"
    "loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo,time_signature,duration_ms"
)
# The contract's own example.
MUSE = (
    "2takcwOaAZWiXQijPHIx7B,Time Is Running Out,12Chz98pHFMPJEknJQMWvI,Muse,0HcHPBu9aaF1MxOiZmUQTl,Absolution,"
    "2003-09-23,74,false,0.585,0.842,9,-5.9,0,0.0556,0.0092,0.0069,0.0846,0.428,118.2,4,236960"
)
MUSE_RECORD = Track(
    track_id="2takcwOaAZWiXQijPHIx7B",
    title="Time Is Running Out",
    artists=(ArtistRef(artist_id="12Chz98pHFMPJEknJQMWvI", name="Muse"),),
    album=Album(album_id="0HcHPBu9aaF1MxOiZmUQTl", name="Absolution", release_date="2003-09-23"),
    duration_ms=236960,
    popularity=74.0,
    explicit=False,
    features=Features(
        danceability=0.585,
        energy=0.842,
        key=9,
        loudness=-5.9,
        mode=0,
        speechiness=0.0556,
        acousticness=0.0092,
        instrumentalness=0.0069,
        liveness=0.0846,
        valence=0.428,
        tempo=118.2,
        time_signature=4,
    ),
)


def written(folder: Path, text: str, name: str = "tracks.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def imported(path: Path, updated_at_ms: int | None = None) -> tuple[list[Letter], Counter[str]]:
    source = open_tracks(path)
    chunk = next_chunk(source.items(), source, 1, updated_at_ms)
    return chunk.letters, Counter(refused.reason for refused in chunk.refused)


def records(path: Path) -> list[Track]:
    letters, refused = imported(path)
    assert not refused
    return [decode(letter.value, Track) for letter in letters]


def test_full_row_becomes_the_contracts_own_example(tmp_path: Path) -> None:
    letters, _ = imported(written(tmp_path, f"{HEADER}\n{MUSE}\n"))
    assert [letter.key for letter in letters] == [b"2takcwOaAZWiXQijPHIx7B"]
    assert decode(letters[0].value, Track) == MUSE_RECORD


def test_gzipped_file_and_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv.gz"
    path.write_bytes(gzip.compress(f"\ufeff{HEADER}\r\n{MUSE}\r\n".encode()))
    assert records(path) == [MUSE_RECORD]


def test_empty_cells_are_unknown_and_an_empty_title_is_a_title(tmp_path: Path) -> None:
    row = "t1,," + "," * 19
    assert records(written(tmp_path, f"{HEADER}\n{row}\n")) == [Track(track_id="t1", title="", artists=())]


def test_artist_without_an_id_keeps_its_name() -> None:
    convert = track_converter(["track_id", "title", "artist_id", "artist_name"])
    assert convert(["t1", "Song", "", "A, B"]).artists == (ArtistRef(artist_id=None, name="A, B"),)


def test_optional_columns_are_read_in_any_order_and_others_ignored() -> None:
    convert = track_converter(["markets", "mood", "title", "updated_at_ms", "genres", "track_id", "isrc"])
    track = convert(["SE; GB", "sad", "Song", "1700000000000", "permanent wave;;rock", "t1", "GBAHT0300358"])
    assert track == Track(
        track_id="t1",
        title="Song",
        artists=(),
        isrc="GBAHT0300358",
        markets=("SE", "GB"),
        genres=("permanent wave", "rock"),
        updated_at_ms=1_700_000_000_000,
    )


def test_whole_numbers_may_be_written_as_decimals() -> None:
    convert = track_converter(["track_id", "title", "duration_ms", "key", "explicit"])
    track = convert(["t1", "Song", "236960.0", "9.0", "True"])
    assert (track.duration_ms, track.features, track.explicit) == (236960, Features(key=9), True)


@pytest.mark.parametrize(
    ("title", "artist"),
    [
        ("Группа крови", "Кино"),
        ("丸ノ内サディスティック", "椎名林檎"),
        ("أنت عمري", "أم كلثوم"),
        ("Null", "None"),
        ('5"', "🎵"),
    ],
)
def test_every_alphabet_arrives_unchanged(tmp_path: Path, title: str, artist: str) -> None:
    quoted = title.replace('"', '""')
    path = written(tmp_path, f'track_id,title,artist_name\nt1,"{quoted}",{artist}\n')
    assert records(path) == [Track(track_id="t1", title=title, artists=(ArtistRef(name=artist),))]


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("popularity", '1956"', "popularity: expected float | null, got str"),
        ("popularity", "101", "popularity: expected float <= 100.0"),
        ("energy", "nan", "features.energy: expected float >= 0.0"),
        ("energy", "1.01", "features.energy: expected float <= 1.0"),
        ("tempo", "inf", "features.tempo: expected float <= 300.0"),
        ("key", "12", "features.key: expected int <= 11"),
        ("release_date", "2003-9-23", "album.release_date: expected YYYY, YYYY-MM or YYYY-MM-DD"),
        ("explicit", "maybe", "explicit: expected bool | null, got str"),
        ("genres", "rock;" + "x" * 201, "genres[...]: expected str of length <= 200"),
    ],
)
def test_dirty_cell_is_refused_with_its_column_and_without_its_value(column: str, cell: str, reason: str) -> None:
    with pytest.raises(RecordRefused) as refusal:
        track_converter(["track_id", "title", column])(["t1", "Song", cell])
    assert refusal.value.reason == reason


def test_refused_rows_are_counted_by_reason_and_the_others_sent(tmp_path: Path) -> None:
    lines = ["track_id,title,popularity", "t1,A,50", ",B,50", "t3,C,x", "t4,D,y", "t5,E", "t6,F,60"]
    letters, refused = imported(written(tmp_path, "\n".join(lines)))
    assert [letter.key for letter in letters] == [b"t1", b"t6"]
    assert refused == {
        "track_id: expected str of length >= 1": 1,
        "popularity: expected float | null, got str": 2,
        "row: another number of columns than the header has": 1,
    }


def test_refused_row_is_shown_with_its_number_and_text(tmp_path: Path) -> None:
    source = open_tracks(written(tmp_path, 'track_id,title,popularity\nt1,A,50\nt2,"A, ""B""",x\n'))
    (refused,) = next_chunk(source.items(), source, 1, None).refused
    assert (refused.row, refused.line) == (2, 't2,"A, ""B""",x')


def test_bytes_that_are_no_utf8_refuse_their_row_alone(tmp_path: Path) -> None:
    letters, refused = imported(written(tmp_path, "track_id,title\nt1,A\nt2,Caf\udce9\nt3,C\n"))
    assert [letter.key for letter in letters] == [b"t1", b"t3"]
    assert refused == {"record: text that is not UTF-8": 1}


def test_row_that_csv_cannot_take_apart_does_not_stop_the_file(tmp_path: Path) -> None:
    letters, refused = imported(written(tmp_path, f"track_id,title\nt1,A\nt2,{'x' * 140_000}\nt3,C\n"))
    assert [letter.key for letter in letters] == [b"t1", b"t3"]
    assert refused == {"row: field larger than field limit (131072)": 1}


def test_empty_file_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"is empty: expected a header with the columns track_id, title$"):
        open_tracks(written(tmp_path, ""))


def test_header_alone_holds_no_tracks(tmp_path: Path) -> None:
    assert imported(written(tmp_path, f"{HEADER}\n")) == ([], Counter())


def test_missing_columns_are_named_once_and_together(tmp_path: Path) -> None:
    with pytest.raises(ColumnsMissing, match=r"lacks the columns track_id, title; it has id, name$"):
        open_tracks(written(tmp_path, "id,name\n1,A\n"))


def test_file_of_another_format_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"ends with one of \.csv\[\.gz\], \.jsonl\[\.gz\], got tracks\.parquet$"):
        open_tracks(written(tmp_path, "", "tracks.parquet"))


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"tracks\.csv does not exist$"):
        open_tracks(tmp_path / "tracks.csv")


def test_cut_off_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{MUSE}\n".encode())[:-20])
    with pytest.raises(FileUnreadable, match="cannot be read"):
        imported(path)


def test_json_lines_carry_records_of_the_contract(tmp_path: Path) -> None:
    lines = '{"track_id": "t1", "title": "Ёлка", "artists": [], "embeddings": {"audio": [0.5]}, "new": 1}\n\n'
    (track,) = records(written(tmp_path, lines, "tracks.jsonl"))
    assert track == Track(track_id="t1", title="Ёлка", artists=(), embeddings={"audio": (0.5,)})


def test_json_lines_that_break_the_contract_are_refused_by_reason(tmp_path: Path) -> None:
    lines = ['{"track_id": "t1", "title": "A", "artists": []}', "{", '{"track_id": "t2", "title": 1, "artists": []}']
    letters, refused = imported(written(tmp_path, "\n".join(lines), "tracks.jsonl"))
    assert [letter.key for letter in letters] == [b"t1"]
    assert refused == {"record: undecodable": 1, "title: expected str, got int": 1}


def test_stamp_is_given_to_records_that_have_none(tmp_path: Path) -> None:
    path = written(tmp_path, "track_id,title,updated_at_ms\nt1,A,\nt2,B,5\n")
    stamped, _ = imported(path, updated_at_ms=7)
    assert [decode(letter.value, Track).updated_at_ms for letter in stamped] == [7, 5]
    unstamped, _ = imported(path)
    assert [decode(letter.value, Track).updated_at_ms for letter in unstamped] == [None, 5]


def test_rows_are_counted_without_line_ends_in_quotes(tmp_path: Path) -> None:
    source = open_tracks(written(tmp_path, 'track_id,title\nt1,"two\nlines, ""quoted"""\nt2,B\nt3,last without end'))
    assert source.total == 3


def test_record_that_kafka_would_not_take_is_refused(tmp_path: Path) -> None:
    numbers = ",".join(["0.123456789012345678"] * 4_096)
    embeddings = ",".join(f'"e{n}": [{numbers}]' for n in range(16))
    line = '{"track_id": "t1", "title": "A", "artists": [], "embeddings": {' + embeddings + "}}"
    # Too long as it came, and so refused by the decoder already.
    _, refused = imported(written(tmp_path, line, "tracks.jsonl"))
    assert refused == {"record: too_large": 1}


def test_key_is_the_id_in_utf8(tmp_path: Path) -> None:
    source = open_tracks(written(tmp_path, "track_id,title\nспой,A\n"))
    (item,) = source.items()
    assert letter_of(source, item, None).key == "спой".encode()
