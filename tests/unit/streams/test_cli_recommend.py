"""How an answer is told to a person."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streams.cli.recommend import channels_of, seed_of, table_of, why_of
from topics.records import ArtistRef, Item, Seed, Why


def item(**fields: object) -> Item:
    given: dict[str, object] = {
        "position": 0,
        "track_id": "t",
        "title": "T",
        "artists": (),
        "score": 1.0,
        "channels": {},
    }
    return Item(**(given | fields))


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ("track:t1", Seed(track_id="t1")),
        ("artist:a:b", Seed(artist_id="a:b")),
        ("playlist:p", Seed(playlist_id="p")),
        ("Time Is Running Out - Muse", Seed(query="Time Is Running Out - Muse")),
        ("Kid A: the album", Seed(query="Kid A: the album")),
        ("album:x", Seed(query="album:x")),
        ("track:", Seed(query="track:")),
    ],
)
def test_seed_is_a_named_thing_or_words(text: str, seed: Seed) -> None:
    assert seed_of(text) == seed


def test_channels_are_told_best_rank_first_and_counted_from_one() -> None:
    assert channels_of(item(channels={"playlist": 4, "fresh": 0, "acoustic": 4})) == "fresh 1, acoustic 5, playlist 5"


def test_track_that_was_tried_out_says_so_with_its_chance() -> None:
    why = Why(text="new this week")
    assert why_of(item(why=why)) == "new this week"
    assert why_of(item(why=why, explored=True, propensity=0.125)) == "new this week (tried out, by a chance of 12%)"
    assert why_of(item(explored=True)) == "(tried out)"


def test_table_shows_titles_as_they_are_and_positions_from_one() -> None:
    out = io.StringIO()
    artists = (ArtistRef(artist_id="a", name="Sigur Rós"), ArtistRef(artist_id="b"), ArtistRef())
    Console(file=out, width=160).print(table_of([item(title="[red]( )[/red]", artists=artists), item(position=1)]))
    first, second = out.getvalue().splitlines()[-2:]
    assert first.split()[:3] == ["1", "[red](", ")[/red]"]
    assert "Sigur Rós, b, ?" in first
    assert second.split()[:2] == ["2", "T"]
