"""What tracks of a file share, and which artists nothing is trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recall.tracks import CataloguedTrack
from streams.labelled import HELD_OUT, fold_of, labelled, read_catalogue
from topics.records import ArtistRef


def track(track_id: str, artist: str | None = "A", **fields: object) -> CataloguedTrack:
    artists = (ArtistRef(name=artist),) if artist else ()
    return CataloguedTrack(track_id=track_id, title=f"Title {track_id}", artists=artists, **fields)


def test_a_fold_is_the_sha256_of_the_name_and_nothing_else() -> None:
    # printf muse | sha256sum, read as a number: its last decimal digit.
    assert fold_of("muse") == 5
    assert fold_of("earth") == 4


def test_a_tenth_of_all_names_is_in_each_fold() -> None:
    counted = np.bincount([fold_of(f"artist {number}") for number in range(10_000)], minlength=10)
    assert counted.min() > 900


@pytest.mark.parametrize("other", ["MUSE", "Muse, Someone", "Muse & Someone", "Muse; Someone"])
def test_an_artist_is_one_however_spelt_and_whoever_joins(other: str) -> None:
    """Else somebody would be held out under one name and trained on under the other."""
    found = labelled([track("1", "Muse"), track("2", other), track("3", "Someone")], [])
    assert found.artists.tolist() == [0, 0, 1]
    assert found.folds[0] == found.folds[1]


def test_held_out_are_the_artists_of_two_folds() -> None:
    tracks = [track(str(number), f"artist {number}") for number in range(300)]
    found = labelled(tracks, [])
    expected = [fold_of(f"artist {number}") in HELD_OUT for number in range(300)]
    assert found.held_out.tolist() == expected
    assert 30 < found.held_out.sum() < 90


def test_a_name_of_signs_alone_and_a_track_without_artists_have_folds() -> None:
    found = labelled([track("1", "!!!"), track("2", ", ,"), track("3", None), track("4", None)], [])
    assert found.artists.tolist()[2:] == [-1, -1]
    assert ((found.folds >= 0) & (found.folds < 10)).all()


def test_artists_are_known_by_id_unless_no_track_has_one() -> None:
    known = CataloguedTrack(track_id="1", title="T", artists=(ArtistRef(artist_id="a", name="A"),))
    assert labelled([known, track("2", "B")], []).artist_ids.tolist() == [0, -1]
    assert labelled([track("1", "A"), track("2", "B")], []).artist_ids.tolist() == [0, 1]


def test_releases_of_one_recording_have_one_label() -> None:
    titles = ("Song", "Song - Remastered 2011", "SONG (feat. B)", "Song - Live")
    tracks = [CataloguedTrack(track_id=title, title=title, artists=(ArtistRef(name="A"),)) for title in titles]
    assert labelled(tracks, []).recordings.tolist() == [0, 0, 0, 1]


def test_playlists_hold_each_track_once_and_none_that_the_catalogue_has_not() -> None:
    found = labelled([track("a"), track("b"), track("c")], [("c", "a", "nowhere", "c"), ("nowhere",), ()])
    assert [one.tolist() for one in found.playlists] == [[0, 2], [], []]
    assert len(found.tracks) == 3


def test_files_give_albums_genres_of_artists_and_playlists_and_bad_rows_are_left_out(tmp_path: Path) -> None:
    tracks, playlists, artists = tmp_path / "t.csv", tmp_path / "p.csv", tmp_path / "a.json"
    rows = [
        "t1,One,x,X,b1,0.5,",
        "t2,Two,x,X,b1,0.6,200000",
        "t3,Three,y,Y,,7.5,",
        "t4,Four,y,Y,,nan,",
        "t1,Again,y,Y,b2,0.1,",
    ]
    tracks.write_text("\n".join(["track_id,title,artist_id,artist_name,album_id,energy,duration_ms", *rows]) + "\n")
    playlists.write_text("playlist_id,track_id\np,t2\np,t1\np,t9\n")
    artists.write_text(json.dumps({"x": ["rock"]}))
    found = read_catalogue(tracks, playlists, artists)
    assert [one.track_id for one in found.tracks] == ["t1", "t2"]
    assert found.tracks[0].title == "One"
    assert found.tracks[1].duration_ms == 200_000
    assert found.albums.tolist() == [0, 0]
    assert found.genres == [frozenset({"rock"}), frozenset({"rock"})]
    assert [one.tolist() for one in found.playlists] == [[0, 1]]
