"""Every channel keeps what recall/channels/protocol.py promises, on a catalogue worked out by arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from msgspec.structs import replace

from models import co_listening
from models.collaborative import learn
from models.past_sessions import PastSessions, PastSessionsConfig
from models.tables import Tables, ordered
from recall.channels import (
    Acoustic,
    Anchors,
    ArtistNeighbours,
    Candidate,
    Channel,
    Described,
    Factors,
    Fresh,
    FreshNearby,
    GenrePopular,
    InPlaylists,
    Listeners,
    Neighbours,
    Rising,
    SameArtist,
    SessionNeighbours,
    SimilarArtists,
    WhereLeaning,
)
from recall.columns import columns_of
from recall.errors import ChannelUnavailable, IndexUnavailable
from recall.index.protocol import NO_FILTER, TrackFilter, TrackIndex
from recall.leaning import Leaning
from recall.query import RecallQuery, Start
from recall.shelf import Shelf
from recall.tracks import ACOUSTIC, COOCCURRENCE, IndexedTrack
from tests.brute_index import BruteIndex
from tests.unit.recall.tracks import at

NOW = 1_700_000_000_000
DAY = 86_400_000


class Counts:
    """Plays counted here: of `t7` the most, and more and more; of one track that is gone, too."""

    plays: Mapping[str, float] = {"t7": 9.0, "gone": 5.0}
    most = 9.0

    def most_played(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        return list(self.plays)[:limit]

    def rising(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        return list(self.plays)[:limit]


class Stated:
    """The owner calls the second artist related to the first, and nothing of others."""

    async def related(self, artist_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        return {"a0": ("a1",)} if "a0" in artist_ids else {}


class Earlier:
    """One session: `t0`, then `t3`, `t9` and a track that is gone."""

    def __init__(self) -> None:
        self.sessions = PastSessions(PastSessionsConfig(sessions=10))
        self.sessions.add("s", ["t0", "t3", "t9", "gone", "t4"], NOW)


class Away(BruteIndex):
    """An index that does not answer."""

    async def _away(self, *_: object, **__: object) -> object:
        raise IndexUnavailable("away")

    nearest = most_popular = newest = matching = fetch = vectors = _away  # type: ignore[assignment]


MAKERS: dict[str, Callable[[TrackIndex], Channel]] = {
    "acoustic": Acoustic,
    "same_artist": SameArtist,
    "similar_artists": lambda index: SimilarArtists(index, Stated()),
    "session_neighbours": lambda index: SessionNeighbours(index, Earlier()),
    "fresh": Fresh,
    "fresh_nearby": FreshNearby,
    "genre_popular": lambda index: GenrePopular(index, Counts()),
    "rising": lambda index: Rising(index, Counts()),
    "anchors": lambda _: Anchors(),
    "playlist": InPlaylists,
    "described": Described,
    "artist_neighbours": lambda index: ArtistNeighbours(index, shelf()),
    "neighbours": lambda index: Neighbours(index, shelf()),
    "factors": lambda index: Factors(index, shelf()),
    "listeners": lambda index: Listeners(index, shelf()),
    "leaning": lambda index: WhereLeaning(index, shelf()),
}
# What these propose is known by id alone, and filtered after recall, as everything is once more.
UNFILTERED = {
    *("anchors", "artist_neighbours", "factors", "genre_popular", "listeners", "neighbours", "rising"),
    *("leaning", "session_neighbours"),
}
# These have something to say only of a person's own starts.
OF_A_PERSON = {"anchors", "leaning"}

# Ten artists of four tracks around the circle; the last of each has just come out.
TRACKS = [
    at(
        10 * artist + step,
        f"t{4 * artist + step}",
        f"a{artist}",
        genres=("rock",) if artist < 5 else ("jazz",),
        popularity=float(10 * step + artist),
        added_at_ms=NOW - (DAY if step == 3 else 300 * DAY),
    )
    for artist in range(10)
    for step in range(4)
]
CATALOGUE = [IndexedTrack(one.track, {**one.vectors, COOCCURRENCE: one.vectors[ACOUSTIC]}) for one in TRACKS]


@cache
def shelf() -> Shelf:
    """Tables of playlists that each hold a part of one genre."""
    tracks = sorted((one.track for one in CATALOGUE), key=lambda track: track.track_id)
    order = ordered([track.track_id for track in tracks])
    tracks = [tracks[at] for at in order.tolist()]
    places = {genre: [at for at, track in enumerate(tracks) if genre in track.genres] for genre in ("rock", "jazz")}
    rng = np.random.default_rng(1)
    lists = [rng.permutation(places["rock" if number % 2 else "jazz"])[:8] for number in range(60)]
    learned = learn(columns_of(tracks, np.zeros((len(tracks), 64), np.float32)), lists)
    listeners = co_listening.learn([np.asarray(one) for one in lists], len(tracks))
    return Shelf(Tables([track.track_id for track in tracks], learned, listeners=listeners))


def query(*starts: IndexedTrack, where: TrackFilter = NO_FILTER) -> RecallQuery:
    weighed = tuple(Start(one, 1.0) for one in starts)
    artists = tuple(dict.fromkeys(artist for one in starts for artist in one.track.artist_ids))
    genres = tuple(dict.fromkeys(genre for one in starts for genre in one.track.genres))
    return RecallQuery(weighed, artists, genres, 0.5, where, seeded=bool(starts), now_ms=NOW)


def gladly(*ones: IndexedTrack, moved_on: Sequence[IndexedTrack] = ()) -> Leaning:
    """As if the first were heard to their end and the others skipped at once."""
    weights = {**{one.track.track_id: 0.5 for one in ones}, **{one.track.track_id: -0.5 for one in moved_on}}
    sounds = [weights[one.track.track_id] * one.vectors[ACOUSTIC] for one in (*ones, *moved_on) if one.vectors]
    return Leaning(weights, np.sum(sounds, axis=0, dtype=np.float32) if sounds else np.zeros(64, np.float32))


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def found(name: str, asked: RecallQuery, limit: int, index: TrackIndex | None = None) -> list[Candidate]:
    if name == "described":
        asked = dataclasses.replace(asked, described="rock")
    if name in OF_A_PERSON:
        asked = dataclasses.replace(asked, seeded=False, leaning=gladly(*(start.indexed for start in asked.starts)))
    return await MAKERS[name](index or BruteIndex(CATALOGUE)).candidates(asked, limit)


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [one.track.track_id for one in candidates]


def test_channel_has_the_name_it_is_known_by(name: str) -> None:
    assert MAKERS[name](BruteIndex()).name == name


@pytest.mark.parametrize("limit", [0, 1, 3, 100])
async def test_no_more_than_asked_each_once_and_all_in_the_catalogue(name: str, limit: int) -> None:
    some = ids(await found(name, query(CATALOGUE[0], CATALOGUE[9]), limit))
    assert len(some) == len(set(some)) <= limit
    assert set(some) <= {one.track.track_id for one in CATALOGUE}
    assert some or limit == 0


async def test_same_question_has_the_same_answer(name: str) -> None:
    asked = query(CATALOGUE[0], CATALOGUE[9])
    assert await found(name, asked, 8) == await found(name, asked, 8)


async def test_reasons_are_said_and_starts_are_starts(name: str) -> None:
    for one in await found(name, query(CATALOGUE[0], CATALOGUE[9]), 20):
        assert one.reason
        assert not one.reason.endswith(".")
        assert set(one.because) <= {"t0", "t9"}


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - OF_A_PERSON), indirect=True)
async def test_nothing_fits_is_an_empty_list(name: str) -> None:
    assert await found(name, query(), 10, BruteIndex()) == []
    assert await found(name, query(CATALOGUE[0]), 10, BruteIndex()) == []


async def test_starts_without_sound_genre_or_artist_are_no_error(name: str) -> None:
    bare = IndexedTrack(replace(CATALOGUE[0].track, artists=(), genres=()))
    some = ids(await found(name, query(bare), 10))
    assert len(some) == len(set(some)) <= 10


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - OF_A_PERSON), indirect=True)
async def test_channel_that_cannot_look_says_so(name: str) -> None:
    with pytest.raises(ChannelUnavailable):
        await found(name, query(CATALOGUE[0]), 10, Away(CATALOGUE))


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - UNFILTERED), indirect=True)
async def test_what_the_engine_filters_does_not_come(name: str) -> None:
    where = TrackFilter(artists_none=("a1", "a2"), genres_none=("jazz",))
    some = await found(name, query(CATALOGUE[0], where=where), 30)
    assert not {"a1", "a2", "a5", "a6", "a7", "a8", "a9"} & {one.track.artist_ids[0] for one in some}


async def test_similar_artists_are_those_that_the_owner_relates() -> None:
    # The first artist of the query is related to a1, whose best known come first, and two of them at most.
    some = await found("similar_artists", query(CATALOGUE[0]), 10)
    assert ids(some) == ["t7", "t6"]
    assert {one.reason for one in some} == {"Related to Name a0"}


async def test_similar_artists_are_else_those_that_sound_alike_and_share_a_genre() -> None:
    # a4 is as near to a5 as to a3, but of another genre; where the query has both, neither is like the other.
    some = await found("similar_artists", query(CATALOGUE[4 * 4]), 4)
    assert {one.track.artist_ids[0] for one in some} <= {"a0", "a1", "a2", "a3"}
    assert len(some) == 4
    assert {one.reason for one in some} == {"By an artist like Name a4"}
    both = await found("similar_artists", query(CATALOGUE[4 * 4], CATALOGUE[4 * 3]), 4)
    assert {one.track.artist_ids[0] for one in both} <= {"a0", "a1", "a2"}


async def test_fresh_nearby_is_new_of_the_genre_and_nearest_first() -> None:
    # t15 is at 33 degrees: of what came out in rock, t15 itself is nearest, then those of the artists beside it.
    some = ids(await found("fresh_nearby", query(CATALOGUE[15]), 3))
    assert some == ["t15", "t11", "t19"]
    old = [one for one in CATALOGUE if one.track.added_at_ms < NOW - 30 * DAY]
    assert await found("fresh_nearby", query(CATALOGUE[15]), 3, BruteIndex(old)) == []


async def test_anchors_are_what_the_person_likes_and_never_a_request_s_seeds() -> None:
    asked = query(CATALOGUE[9], CATALOGUE[0])
    assert ids(await found("anchors", asked, 10)) == ["t9", "t0"]
    assert ids(await MAKERS["anchors"](BruteIndex()).candidates(asked, 10)) == []


async def test_leaning_goes_away_from_what_was_moved_on_from() -> None:
    # Gladly at 20 degrees: nearest are 21, 22 and 23. Half way from there, moved on from 10: what is gone to is at 105.
    start, passed = CATALOGUE[8], CATALOGUE[4]
    by_sound = WhereLeaning(BruteIndex(CATALOGUE), Shelf())
    asked = dataclasses.replace(query(start), seeded=False)
    glad = dataclasses.replace(asked, leaning=gladly(start))
    assert ids(await by_sound.candidates(glad, 3)) == ["t9", "t10", "t11"]
    turned = dataclasses.replace(asked, leaning=gladly(start, moved_on=[passed]))
    assert ids(await by_sound.candidates(turned, 2)) == ["t39", "t38"]
    (first, *_) = await by_sound.candidates(turned, 4)
    assert (first.because, first.reason) == (("t8",), "Like what you finished of late, unlike what you skipped")


async def test_leaning_takes_turns_between_lists_and_sound() -> None:
    # Lists hold rock or jazz, never both: what goes with t8 is rock, whatever it sounds like.
    asked = dataclasses.replace(query(CATALOGUE[8]), seeded=False, leaning=gladly(CATALOGUE[8], CATALOGUE[9]))
    some = await WhereLeaning(BruteIndex(CATALOGUE), shelf()).candidates(asked, 8)
    assert len(some) == 7  # both name one of them
    assert ids(some)[1] == "t10"
    assert all(one.track.genres == ("rock",) for one in some)
    assert not {"t8", "t9"} & set(ids(some))
    jazz = dataclasses.replace(asked, leaning=gladly(CATALOGUE[39], moved_on=[CATALOGUE[8]]))
    listed = await WhereLeaning(BruteIndex(CATALOGUE), shelf()).candidates(jazz, 8)
    assert all(one.track.genres == ("jazz",) for one in listed[::2])


async def test_nothing_leans_where_seeds_are_named_or_nothing_was_heard_gladly() -> None:
    channel = WhereLeaning(BruteIndex(CATALOGUE), shelf())
    glad = dataclasses.replace(query(CATALOGUE[8]), leaning=gladly(CATALOGUE[8]))
    assert await channel.candidates(glad, 8) == []
    sorry = dataclasses.replace(query(CATALOGUE[8]), seeded=False, leaning=gladly(moved_on=[CATALOGUE[8]]))
    assert await channel.candidates(sorry, 8) == []
    assert len(await channel.candidates(dataclasses.replace(glad, seeded=False), 8)) == 8


async def test_releases_alone_are_all_that_came_out_in_these_weeks_the_latest_first() -> None:
    # Ten tracks of the artist came out, a day apart, long after the catalogue had them; one more did months ago.
    released = [
        at(n, f"r{n}", "a0", genres=("rock",), release_date=f"2023-11-{14 - n:02d}", added_at_ms=NOW - 90 * DAY)
        for n in range(10)
    ]
    old = at(11, "old", "a0", genres=("rock",), release_date="2023-08-01", added_at_ms=NOW)
    index = BruteIndex([*CATALOGUE, *released, old])
    asked = dataclasses.replace(query(CATALOGUE[0]), releases=True)
    assert ids(await found("fresh", asked, 30, index)) == [f"r{n}" for n in range(10)]
    assert set(ids(await found("fresh_nearby", asked, 30, index))) == {f"r{n}" for n in range(10)}
    assert len(await found("fresh", query(CATALOGUE[0]), 30, index)) <= 6


async def test_rising_is_in_the_order_of_the_counts_and_without_what_is_gone() -> None:
    assert ids(await found("rising", query(CATALOGUE[0]), 10)) == ["t7"]


async def test_session_neighbours_come_in_the_order_of_past_sessions() -> None:
    assert ids(await found("session_neighbours", query(CATALOGUE[0]), 10)) == ["t3", "t9", "t4"]
    # Nobody's seeds: what was liked just now, the last of it first.
    asked = dataclasses.replace(query(), session=("t9", "t4"))
    some = await found("session_neighbours", asked, 10)
    assert ids(some) == ["t3", "t0"]
    assert some[0].because == ("t4", "t9")


async def test_artists_that_sound_alike_are_not_searched_for_again_and_again() -> None:
    index = BruteIndex(CATALOGUE)
    channel = SimilarArtists(index, Stated())
    asked = query(CATALOGUE[4 * 4])
    first = await channel.candidates(asked, 4)
    assert index.calls.count("nearest") == 1
    assert await channel.candidates(asked, 4) == first
    assert index.calls.count("nearest") == 1
    later = dataclasses.replace(asked, now_ms=asked.now_ms + 600_000)
    assert await channel.candidates(later, 4) == first
    assert index.calls.count("nearest") == 2
