"""Artists come as a JSON object, as CSV and as JSON lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.importing.artists import artist_converter, open_artists
from streams.importing.errors import ColumnsMissing, FileUnreadable
from streams.importing.run import Chunk, next_chunk
from topics.codec import decode
from topics.records import Artist


def chunk_of(folder: Path, text: str, name: str) -> Chunk:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    source = open_artists(path)
    return next_chunk(source.items(), source, 1, None)


def artists(folder: Path, text: str, name: str) -> list[Artist]:
    chunk = chunk_of(folder, text, name)
    assert not chunk.refused
    return [decode(letter.value, Artist) for letter in chunk.letters]


def test_json_object_maps_ids_to_genres_or_to_all_that_is_known(tmp_path: Path) -> None:
    text = '{"a1": ["disco", "p funk"], "a2": [], "a3": {"name": "Кино", "genres": ["rock"], "popularity": 61}}'
    assert artists(tmp_path, text, "artist_genres.json") == [
        Artist(artist_id="a1", genres=("disco", "p funk")),
        Artist(artist_id="a2", genres=()),
        Artist(artist_id="a3", name="Кино", genres=("rock",), popularity=61.0),
    ]


def test_csv_columns_are_read_by_name() -> None:
    convert = artist_converter(["name", "related", "artist_id", "genres", "popularity", "updated_at_ms"])
    assert convert(["Muse", "a2;a3", "a1", "permanent wave; rock", "80", "5"]) == Artist(
        artist_id="a1",
        name="Muse",
        genres=("permanent wave", "rock"),
        related=("a2", "a3"),
        popularity=80.0,
        updated_at_ms=5,
    )


def test_row_without_an_id_is_refused(tmp_path: Path) -> None:
    (refused,) = chunk_of(tmp_path, "artist_id,name\n,Muse\n", "artists.csv").refused
    assert (refused.reason, refused.line) == ("artist_id: expected str of length >= 1", ",Muse")


def test_json_lines_carry_artists(tmp_path: Path) -> None:
    assert artists(tmp_path, '{"artist_id": "a1", "name": "Björk"}\n', "artists.jsonl") == [
        Artist(artist_id="a1", name="Björk")
    ]


def test_member_that_breaks_the_contract_is_refused_and_shown(tmp_path: Path) -> None:
    chunk = chunk_of(tmp_path, '{"a1": ["disco"], "": ["rock"], "a3": "rock", "a4": [""]}', "artists.json")
    assert [letter.key for letter in chunk.letters] == [b"a1"]
    assert [(refused.row, refused.reason, refused.line) for refused in chunk.refused] == [
        (2, "artist_id: expected str of length >= 1", '{"":["rock"]}'),
        (3, "genres: expected array | null, got str", '{"a3":"rock"}'),
        (4, "genres[...]: expected str of length >= 1", '{"a4":[""]}'),
    ]


def test_json_that_is_no_object_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match=r"artists\.json: expected one JSON object, got "):
        chunk_of(tmp_path, "[1, 2]", "artists.json")


def test_missing_artist_id_is_named(tmp_path: Path) -> None:
    with pytest.raises(ColumnsMissing, match=r"lacks the columns artist_id; it has id, genres$"):
        chunk_of(tmp_path, "id,genres\na1,rock\n", "artists.csv")
