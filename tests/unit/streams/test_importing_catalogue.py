"""A catalogue is a folder, a file, the sample or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.make_sample import genres_of
from streams.catalogue import sample_playlists, sample_tracks
from streams.importing import catalogue_files
from streams.importing.errors import FileUnreadable
from streams.importing.playlists import open_playlists
from streams.importing.run import Chunk, next_chunk
from streams.importing.source import Source
from streams.importing.tracks import open_tracks
from topics.codec import decode
from topics.records import Playlist, Track


def chunks(source: Source) -> list[Chunk]:
    items = source.items()
    return list(iter(lambda: next_chunk(items, source, 1, None), Chunk()))


def test_folder_gives_artists_before_tracks_before_playlists(tmp_path: Path) -> None:
    for name in ("tracks.csv.gz", "playlists.csv", "artist_genres.json.gz", "charts.csv.gz", "genres.csv"):
        (tmp_path / name).touch()
    assert [(kind, path.name) for kind, path in catalogue_files(tmp_path)] == [
        ("artists", "artist_genres.json.gz"),
        ("tracks", "tracks.csv.gz"),
        ("playlists", "playlists.csv"),
    ]


def test_folder_without_tracks_says_what_it_should_hold(tmp_path: Path) -> None:
    (tmp_path / "playlists.csv").touch()
    with pytest.raises(FileUnreadable, match=r"expected tracks\.csv or tracks\.jsonl, each maybe with \.gz, in "):
        catalogue_files(tmp_path)


def test_single_file_holds_tracks_and_none_holds_nothing(tmp_path: Path) -> None:
    assert catalogue_files(tmp_path / "mine.jsonl") == [("tracks", tmp_path / "mine.jsonl")]
    assert catalogue_files("none") == []


def test_sample_is_there_whole_and_nothing_of_it_is_refused() -> None:
    assert catalogue_files("sample") == [("tracks", sample_tracks()), ("playlists", sample_playlists())]
    tracks, playlists = chunks(open_tracks(sample_tracks())), chunks(open_playlists(sample_playlists()))
    assert not [refused for chunk in tracks + playlists for refused in chunk.refused]
    known = {letter.key.decode() for chunk in tracks for letter in chunk.letters}
    listed = [decode(letter.value, Playlist) for chunk in playlists for letter in chunk.letters]
    # zcat playlists.csv.gz | cut -d, -f1 | sort -u | grep -c ^tt: and the same of the tracks
    assert (len(known), len(listed)) == (28_356, 471)
    assert {track_id for playlist in listed for track_id in playlist.track_ids} == known
    assert all(playlist.playlist_id.startswith("tt:") for playlist in listed)


def test_four_of_five_sample_tracks_have_genres() -> None:
    tracks = [decode(letter.value, Track) for chunk in chunks(open_tracks(sample_tracks())) for letter in chunk.letters]
    assert sum(bool(track.genres) for track in tracks) / len(tracks) == pytest.approx(0.798, abs=0.001)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("90s Hiphop / Gangsta Rap", {"hip hop", "gangster rap", "rap"}),
        ("Hip-Hop 'n RnB", {"hip hop", "rap", "r&b"}),
        ("🤩🤪Post Teen Pop🤪🤩", {"post-teen pop", "pop"}),
        ("Mansión Reggaetón", {"reggaeton", "latin"}),
        ("Big Room House / Bigroom", {"big room", "edm"}),
        ("NEO-soul", {"neo soul", "r&b"}),
        ("90's Southern Hip Hop", {"southern hip hop", "rap"}),
        ("80s-90s R&B / New Jack Swing", {"new jack swing", "r&b"}),
        ("Trap Nation 🔊", {"trap", "rap"}),
        ("Tropical House 🌴", {"edm"}),
        ("POPTIMISM", {"indie poptimism", "pop"}),
        ("This Is Scorpions", set()),
        ("Trapeze, Popcorn, Rocket", set()),
    ],
)
def test_genres_are_read_off_playlist_names(name: str, expected: set[str]) -> None:
    assert set(genres_of(name)) == expected
