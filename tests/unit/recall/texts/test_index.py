"""The index against looking at every track, and what writing does to it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recall.errors import IndexUnavailable
from recall.texts import TextIndex
from recall.tracks import CataloguedTrack, IndexedTrack
from tests.brute_texts import BruteTexts
from topics.records import ArtistRef

SONGS = [
    ("Halo", "Beyoncé", 77),
    ("Halo", "Pendulum", 40),
    ("Crazy In Love (feat. Jay-Z)", "Beyoncé", 80),
    ("Enter Sandman", "Metallica", 79),
    ("Enter Sandman - Live", "Metallica", 33),
    ("Nothing Else Matters", "Metallica", 78),
    ("Thunderstruck", "AC/DC", 84),
    ("Blinding Lights", "The Weeknd", 98),
    ("The Weekend", "SZA", 30),
    ("Army Of Me", "Björk", 57),
    ("晴天", "Jay Chou", 67),
    ("Кукушка", "Кино", None),
    ("كلام عينيه", "Sherine", 77),
    ("Bohemian Rhapsody - 2011 Mix", "Queen", 84),
    ("Queen", "Perfume Genius", 30),
    ("Sweet Child O' Mine", "Guns N' Roses", 84),
    ("÷", "Ed", 10),
]


def song(number: int, title: str, artist: str, popularity: float | None, **fields: object) -> IndexedTrack:
    artists = (ArtistRef(artist_id=f"id of {artist}", name=artist),)
    return IndexedTrack(
        CataloguedTrack(track_id=f"t{number}", title=title, artists=artists, popularity=popularity, **fields)
    )


TRACKS = [song(number, *one) for number, one in enumerate(SONGS)]


@pytest.fixture
async def texts(tmp_path: Path) -> AsyncIterator[TextIndex]:
    index = TextIndex.open(tmp_path / "texts.sqlite3")
    yield index
    await index.close()


async def meant(index: TextIndex, text: str) -> tuple[str, ...] | None:
    best = (await index.find(text)).best
    return None if best is None else best.track_ids


@pytest.mark.parametrize(
    "text",
    [
        "halo",
        "Beyonce halo",
        "pendulum - halo",
        "metalica enter sandman",
        "enter sandmann",
        "metalica",
        "acdc",
        "ac dc thunderstruck",
        "the weeknd",
        "blinding light weekend",
        "bjork",
        "bjrok army",
        "晴天 - Jay Chou",
        "Jay Chou 晴天",
        "кукушка",
        "kukushka kino",
        "كلام عينيه",
        "sherine - كلام عينيه",
        "queen bohemian rapsody",
        "guns and roses",
        "÷",
        "crazy in love",
        "nothing at all like it",
    ],
)
async def test_index_finds_what_looking_at_every_track_finds(texts: TextIndex, text: str) -> None:
    await texts.put(TRACKS)
    found, expected = await texts.find(text), await BruteTexts([one.track for one in TRACKS]).find(text)
    assert found.best == expected.best


async def test_most_popular_of_very_many_is_found(texts: TextIndex) -> None:
    await texts.put([song(number, "Intro", f"Artist {number}", (number * 37) % 200 / 2) for number in range(200)])
    assert await meant(texts, "intro") == ("t27",)  # 27 * 37 = 999, so 99.5


async def test_empty_text_and_text_of_nothing_known_mean_nothing(texts: TextIndex) -> None:
    await texts.put(TRACKS)
    for text in ("", "   ", "xyzzy plugh", "x" * 10_000, "word " * 2_000, '" OR NEAR( * :'):
        assert (await texts.find(text)).best is None


async def test_near_matches_are_told_where_nothing_is_meant(texts: TextIndex) -> None:
    await texts.put(TRACKS)
    found = await texts.find("enter the sand")
    assert found.best is None
    assert "Enter Sandman by Metallica" in [match.label for match in found.others]


async def test_track_is_found_by_its_new_title_only(texts: TextIndex) -> None:
    await texts.put([song(1, "Old Name", "A", 1)])
    await texts.put([song(1, "Something Else", "A", 1)])
    assert await meant(texts, "something else") == ("t1",)
    assert await meant(texts, "old name") is None
    assert texts.count() == 1


async def test_older_stamp_never_overwrites_a_newer_one(texts: TextIndex) -> None:
    await texts.put([song(1, "Newer Title", "A", 1, updated_at_ms=9)])
    await texts.put([song(1, "Older Title", "A", 1, updated_at_ms=4)])
    assert await meant(texts, "newer title") == ("t1",)
    await texts.put([song(1, "Unstamped Title", "A", 1), song(1, "Latest Title", "A", 1, updated_at_ms=2)])
    assert await meant(texts, "latest title") == ("t1",)
    assert texts.count() == 1


async def test_redelivered_batch_changes_nothing(texts: TextIndex, tmp_path: Path) -> None:
    await texts.put(TRACKS)

    def rows() -> list[object]:
        with sqlite3.connect(tmp_path / "texts.sqlite3") as connection:
            return connection.execute("SELECT * FROM tracks ORDER BY id").fetchall()

    before = rows()
    await texts.put(TRACKS)
    assert rows() == before


async def test_withdrawn_track_leaves(texts: TextIndex) -> None:
    await texts.put(TRACKS)
    await texts.withdraw(["t0", "unknown"])
    assert await meant(texts, "halo") == ("t1",)
    assert texts.count() == len(TRACKS) - 1
    await texts.withdraw(["t11"])
    assert await meant(texts, "кино") is None


async def test_everything_is_there_after_a_restart(texts: TextIndex, tmp_path: Path) -> None:
    await texts.put([*TRACKS, song(99, "Tagged", "A", 1, genres=("synthpop", "german synthpop"))])
    identity = texts.identity
    await texts.close()
    again = TextIndex.open(tmp_path / "texts.sqlite3")
    assert await meant(again, "metalica enter sandman") == ("t3",)
    assert again.genres_named(("synth", "pop")) == ("synthpop", "german synthpop")
    assert again.identity == identity
    await again.close()


async def test_filling_leaves_what_is_there(texts: TextIndex) -> None:
    await texts.put([song(1, "Current Title", "A", 1)])
    await texts.put([song(1, "Stale Title", "A", 1), song(2, "Missing One", "B", 1)], only_new=True)
    assert await meant(texts, "current title") == ("t1",)
    assert await meant(texts, "missing one") == ("t2",)


@pytest.mark.parametrize("damage", [b"no database at all", None])
async def test_damaged_file_or_one_of_another_version_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "texts.sqlite3"
    index = TextIndex.open(path)
    await index.put(TRACKS)
    identity = index.identity
    await index.close()
    if damage:
        path.write_bytes(damage)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 999")
    again = TextIndex.open(path)
    assert again.count() == 0
    assert again.identity != identity
    await again.put(TRACKS)
    assert await meant(again, "bjork") == ("t9",)
    await again.close()


async def test_store_that_fails_says_so(texts: TextIndex) -> None:
    await texts.put(TRACKS)
    texts._store.close()
    with pytest.raises(IndexUnavailable):
        await texts.find("halo")


async def test_very_long_titles_and_many_artists_are_bounded(texts: TextIndex, tmp_path: Path) -> None:
    artists = tuple(ArtistRef(artist_id=f"a{n}", name=f"Name {n} " + "y" * 1_900) for n in range(200))
    await texts.put([IndexedTrack(CataloguedTrack(track_id="long", title="Long Tale " + "x" * 1_990, artists=artists))])
    await texts.put([song(2, "Short Tale", "B", 1)])
    assert await meant(texts, "short tale") == ("t2",)
    with sqlite3.connect(tmp_path / "texts.sqlite3") as connection:
        ((size,),) = connection.execute("SELECT length(title) + length(names) + length(doc) FROM tracks LIMIT 1")
    assert size < 20 * 3 * 300 + 2_000


@pytest.mark.parametrize("sign", ["\0", "\x1f", "\x1e", '"', "\n", "\u202e", "😀", "\uffff"])
async def test_any_sign_in_ids_and_texts_is_kept_apart(texts: TextIndex, sign: str) -> None:
    artists = (ArtistRef(artist_id=f"a{sign}b", name=f"Nom{sign}bre"), ArtistRef(name=f"{sign}"), ArtistRef(name=sign))
    odd = CataloguedTrack(track_id=f"x{sign}y", title=f"Strange {sign} Title", artists=artists)
    other = CataloguedTrack(track_id="x", title="Plain Title", artists=artists[:1])
    for _ in range(2):
        await texts.put([IndexedTrack(odd), IndexedTrack(other)])
    assert await meant(texts, "strange title") == (f"x{sign}y",)
    assert await meant(texts, "plain title") == ("x",)
    await texts.find(sign)
    await texts.withdraw([f"x{sign}y"])
    assert texts.count() == 1
