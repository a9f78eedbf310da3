from __future__ import annotations

import pytest

from recall.duplicates import one_release_each
from recall.merge import Merged
from recall.tracks import CataloguedTrack
from tests.unit.recall.tracks import track


def kept(*tracks: CataloguedTrack, already: tuple[CataloguedTrack, ...] = ()) -> list[str]:
    return [one.track.track_id for one in one_release_each([Merged(t, {}, {}, {}) for t in tracks], 99, already)]


@pytest.mark.parametrize(
    "other",
    [
        "Time Is Running Out",
        "TIME IS RUNNING OUT",
        "Time Is Running Out - Remastered 2011",
        "Time Is Running Out (2011 Remaster)",
        "Time Is Running Out [Deluxe Edition]",
        "Time Is Running Out (feat. Somebody)",
    ],
)
def test_editions_of_one_recording_come_once(other: str) -> None:
    first = track("first", title="Time Is Running Out", duration_ms=236_960)
    assert kept(first, track("second", title=other, duration_ms=237_500)) == ["first"]


@pytest.mark.parametrize(
    "other", ["Time Is Running Out - Live", "Time Is Running Out (Acoustic)", "Time Is Running Out - Someone Remix"]
)
def test_other_recordings_of_a_song_stay(other: str) -> None:
    first = track("first", title="Time Is Running Out", duration_ms=236_960)
    assert kept(first, track("second", title=other, duration_ms=236_960)) == ["first", "second"]


def test_same_title_by_another_artist_or_of_another_length_stays() -> None:
    first = track("first", title="Intro", duration_ms=60_000)
    assert kept(first, track("second", "b", title="Intro", duration_ms=60_000)) == ["first", "second"]
    assert kept(first, track("second", title="Intro", duration_ms=64_000)) == ["first", "second"]


def test_equal_isrc_is_one_recording_whatever_the_title() -> None:
    tracks = [track("first", isrc="GBAHT0300358"), track("second", "b", isrc="gb-aht-03-00358")]
    assert kept(*tracks) == ["first"]


def test_other_releases_of_a_seed_do_not_come() -> None:
    assert kept(track("x", title="Halo"), already=(track("seed", title="Halo - Remastered"),)) == []
