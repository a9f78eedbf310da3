"""How an answer is told to a person."""

from __future__ import annotations

import io

import pytest
import typer
from rich.console import Console

from streams.cli.recommend import channels_of, meaning_of, seed_of, seeds_of, table_of, why_of
from topics.records import ArtistRef, Item, Seed, Understood, Why


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


@pytest.mark.parametrize("text", ["", "   ", "x" * 501])
def test_seed_that_no_request_may_hold_is_a_wrong_option(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="1 to 500 characters"):
        seed_of(text)


def test_too_many_seeds_are_a_wrong_option() -> None:
    assert len(seeds_of(["halo"] * 100)) == 100
    with pytest.raises(typer.BadParameter, match="at most 100 seeds, got 500"):
        seeds_of(["halo"] * 500)


def test_what_was_understood_is_said_with_what_else_it_may_mean() -> None:
    track = Understood(query="halo", kind="track", label="Halo by Beyoncé", track_id="t", others=("Halo by Pendulum",))
    assert meaning_of(track) == "“halo” as Halo by Beyoncé; it may also mean Halo by Pendulum"
    assert meaning_of(Understood(query="bjork", kind="artist", label="Björk")) == "“bjork” as Björk (artist)"
    words = Understood(
        query="calm 80s synthpop, please",
        kind="words",
        label="",
        genres=("synthpop",),
        features={"energy": (0.0, 0.45)},
        years=(1980, 1989),
        ignored=("please",),
    )
    expected = "“calm 80s synthpop, please” as synthpop, energy 0 to 0.45, 1980 to 1989; not understood: please"
    assert meaning_of(words) == expected
