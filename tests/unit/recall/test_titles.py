from __future__ import annotations

import pytest

from recall.titles import read_title


@pytest.mark.parametrize(
    "title",
    [
        "Time Is Running Out",
        "TIME IS RUNNING OUT!",
        "Time Is Running Out - Remastered 2011",
        "Time Is Running Out - 2011 Remastered Version",
        "Time Is Running Out (2011 - Remaster)",
        "Time Is Running Out [Deluxe Edition]",
        "Time Is Running Out (feat. Somebody)",
        "Time Is Running Out ft. Somebody & Others",
        "Time Is Running Out (with Somebody) [Bonus Track]",
        "Time Is Running Out - Radio Edit",
        "Time Is Running Out - Radio Mix",
        "Time Is Running Out (Original Mix)",
        "Time Is Running Out - 2018 Mix",
        "Time Is Running Out - 50th Anniversary Mix",
        "Time Is Running Out - Single Version; 2009 Remaster",
        "Time Is Running Out - Album Version (Edited)",
        "Time Is Running Out -stereo version",
        'Time Is Running Out - From "The Film" Soundtrack',
        "Time Is Running Out (From the Motion Picture)",
        "Time Is Running Out - Remasterizado 2009",
    ],
)
def test_editions_leave_the_stem(title: str) -> None:
    assert read_title(title).stem == "time is running out"


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("Halo - Live", "halo live"),
        ("Halo (Live / 2011 Remaster)", "halo live"),
        ("Halo - Acoustic Version", "halo acoustic version"),
        ("Halo (feat. X) - Somebody Remix", "halo somebody remix"),
        ("Halo - Extended Mix", "halo extended mix"),
        ("Halo - 2019 Version", "halo 2019 version"),
        ("Halo (Taylor's Version)", "halo taylor s version"),
        ("Halo - with the Royal Philharmonic Orchestra", "halo with the royal philharmonic orchestra"),
        ("Halo - Instrumental", "halo instrumental"),
        ("Halo, Pt. 2", "halo pt 2"),
        ("Halo (From the Vault)", "halo from the vault"),
        ("Halo (Demo) [Remastered]", "halo demo"),
    ],
)
def test_recordings_of_their_own_stay_in_the_stem(title: str, stem: str) -> None:
    assert read_title(title).stem == stem


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("(I Can't Get No) Satisfaction - Mono", "i can t get no satisfaction"),
        ("Remastered", "remastered"),
        ("(Remix)", "remix"),
        ("Edit", "edit"),
        ("(feat. Nobody)", "feat nobody"),
        ("晴天 (Remastered)", "qing tian"),
        ("(((", "((("),
        ("", ""),
    ],
)
def test_something_is_left_of_every_title(title: str, stem: str) -> None:
    assert read_title(title).stem == stem


def test_longest_title_that_a_record_may_have_takes_no_time() -> None:
    """Brackets within brackets to the end: what looks for pairs again and again would take minutes."""
    assert read_title("(" * 1000 + "a" + ")" * 1000).stem == "a"
    assert read_title("x" + " - " * 600 + "y").stem == "x y"


@pytest.mark.parametrize(
    ("title", "guests"),
    [
        ("Halo (feat. Somebody & Others)", {"somebody", "others"}),
        ("Halo ft. Somebody - Remastered", {"somebody"}),
        ("Halo (with Somebody) [Bonus Track]", {"somebody"}),
        ("Halo - Radio Edit - feat. Somebody", {"somebody"}),
        ("Halo (With Strings)", set()),
        ("Halo", set()),
    ],
)
def test_guests_are_known_by_name(title: str, guests: set[str]) -> None:
    assert read_title(title).guests == guests


def test_editions_are_told_from_films_and_guests() -> None:
    assert read_title("Halo (feat. Somebody) - Radio Edit").says_edition
    assert not read_title('Halo (feat. Somebody) [From "The Film"]').says_edition
    assert not read_title("Halo").says_edition
