from __future__ import annotations

import pytest

from recall.duplicates import one_release_each, same_recording
from recall.merge import Merged
from recall.tracks import CataloguedTrack
from tests.unit.recall.tracks import track
from topics.records import ArtistRef, Features


def kept(*tracks: CataloguedTrack) -> list[str]:
    return [one.track.track_id for one in one_release_each([Merged(t, {}, {}, {}) for t in tracks], 99)]


def sound(**changed: float) -> Features:
    values = {
        "danceability": 0.6,
        "energy": 0.7,
        "valence": 0.5,
        "acousticness": 0.1,
        "instrumentalness": 0.0,
        "speechiness": 0.05,
        "liveness": 0.1,
        "tempo": 120.0,
    }
    return Features(**{**values, **changed})


LOUDER = sound(energy=0.78, liveness=0.12)
OTHERWISE = sound(energy=0.2, acousticness=0.9, tempo=84.0)


def song(title: str = "Halo", seconds: float | None = 240.0, artist: str = "a", **fields: object) -> CataloguedTrack:
    duration_ms = None if seconds is None else int(seconds * 1000)
    return track(title, artist, title=title, duration_ms=duration_ms, **fields)


@pytest.mark.parametrize(
    "other",
    [
        song("Halo - Remastered 2011", 241),
        song("HALO (feat. Somebody)", 238),
        song("Halo", None),
        song("Halo", 241, features=LOUDER),
        song("Halo", 190, features=LOUDER),
        song("Halo - Radio Edit", 190, features=sound(energy=0.4, liveness=0.5)),
        song("Halo (feat. Somebody) - Radio Edit", 190, features=LOUDER),
    ],
)
def test_releases_of_one_recording(other: CataloguedTrack) -> None:
    assert same_recording(song(features=sound()), other)
    assert same_recording(other, song(features=sound()))


@pytest.mark.parametrize(
    "other",
    [
        song("Halo - Live", 240, features=sound()),
        song("Halo", 190),
        song("Halo", 190, features=sound(energy=0.4, liveness=0.5)),
        song("Halo - Radio Edit", 190, features=OTHERWISE),
        song("Halo (feat. Somebody)", 241, features=sound(energy=0.9)),
        song("Halo", 241, features=OTHERWISE),
        song("Halo - Radio Edit", 100, features=sound()),
        song("Halo", 240, artist="b"),
        song("Halo", 240, artist="b", features=LOUDER),
    ],
)
def test_recordings_of_their_own(other: CataloguedTrack) -> None:
    assert not same_recording(song(features=sound()), other)
    assert not same_recording(other, song(features=sound()))


def test_whoever_is_billed_what_sounds_the_very_same_is_one_recording() -> None:
    assert same_recording(song(features=sound()), song(artist="various", features=sound()))


def test_an_artist_billed_among_others_is_shared() -> None:
    alone = CataloguedTrack("1", "Halo", (ArtistRef(name="Mark Ronson"),), duration_ms=1)
    together = CataloguedTrack("2", "Halo", (ArtistRef(name="Bruno Mars & Mark Ronson"),), duration_ms=1)
    assert same_recording(alone, together)


def test_equal_isrc_is_one_recording_whatever_the_title() -> None:
    tracks = [track("first", isrc="GBAHT0300358"), track("second", "b", isrc="gb-aht-03-00358")]
    assert kept(*tracks) == ["first"]


def test_most_popular_release_stands_where_the_best_ranked_was() -> None:
    hit = Merged(
        song(popularity=80.0),
        {"acoustic": 5, "same_artist": 7},
        {"acoustic": 0.15, "same_artist": 0.1},
        {"acoustic": "sounds less", "same_artist": "more"},
        ("s",),
    )
    rare = Merged(
        track("rare", title="Halo", duration_ms=240_000, popularity=3.0),
        {"acoustic": 0, "same_artist": 9},
        {"acoustic": 0.3, "same_artist": 0.05},
        {"acoustic": "sounds", "same_artist": "less"},
        ("t",),
    )
    other = Merged(song("Other"), {"acoustic": 1}, {"acoustic": 0.2}, {"acoustic": "sounds"})
    first, second = one_release_each([rare, other, hit], 2)
    assert (first.track.track_id, second.track.track_id) == ("Halo", "Other")
    assert first.ranks == {"acoustic": 0, "same_artist": 7}
    assert first.contributions == {"acoustic": 0.3, "same_artist": 0.1}
    assert first.reasons == {"acoustic": "sounds", "same_artist": "more"}
    assert first.because == ("t", "s")


def test_no_more_recordings_than_asked() -> None:
    tracks = [Merged(song(f"Song {n}"), {}, {}, {}) for n in range(5)]
    assert [one.track.title for one in one_release_each(tracks, 3)] == ["Song 0", "Song 1", "Song 2"]
