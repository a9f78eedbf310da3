from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from msgspec import structs

from recall.channels import Acoustic, Allowance, Candidate, Described, Fresh, GenrePopular, SameArtist
from recall.errors import ChannelUnavailable, UnknownSeed
from recall.explain import explain
from recall.person import NOBODY, Anchor, Person
from recall.pipeline import Answer, Recommender
from recall.query import RecallQuery
from recall.tracks import COOCCURRENCE, IndexedTrack
from tests.brute_index import BruteIndex
from tests.brute_texts import BruteTexts
from tests.unit.recall.tracks import at, direction
from topics.records import Features, Filters, Listen, RecommendationRequest, Seed

NOW = 1_700_000_000_000
DAY = 86_400_000


class NoPlaylists:
    async def track_ids(self, playlist_id: str) -> tuple[str, ...] | None:
        return {"p": ("t0", "t1")}.get(playlist_id)


class NoPlays:
    plays: Mapping[str, float] = {}
    most = 0.0

    def most_played(self, genres: Sequence[str], limit: int) -> Sequence[str]:
        return ()


class Broken:
    name = "broken"

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        raise ChannelUnavailable("away")


class Slow:
    name = "slow"

    async def candidates(self, query: RecallQuery, limit: int) -> list[Candidate]:
        await asyncio.Event().wait()
        return []


def recommender(tracks: Sequence[IndexedTrack], *more: object) -> Recommender:
    index = BruteIndex(tracks)
    own = [Acoustic(index), SameArtist(index), Fresh(index), GenrePopular(index, NoPlays()), Described(index)]
    texts = BruteTexts([one.track for one in tracks])
    return Recommender(index, NoPlaylists(), [*own, *more], texts=texts)


async def ask(made: Recommender, person: Person = NOBODY, *, within_s: float = 5.0, **fields: object) -> Answer:
    request = RecommendationRequest(request_id="r", **fields)
    deadline_s = asyncio.get_running_loop().time() + within_s
    return await made.answer(request, person, now_ms=NOW, deadline_s=deadline_s)


def ids(answer: Answer) -> list[str]:
    return [one.track.track_id for one in answer.items]


# Twenty artists around the circle, five tracks each, near one another.
CATALOGUE = [
    at(
        18 * artist + step,
        f"t{5 * artist + step}",
        f"artist{artist}",
        popularity=float(step),
        added_at_ms=NOW - 90 * DAY,
    )
    for artist in range(20)
    for step in range(5)
]


async def test_seed_leads_to_its_neighbours_and_never_to_itself() -> None:
    answer = await ask(recommender(CATALOGUE), seeds=(Seed(track_id="t52"),), limit=4, max_per_artist=5, breadth=0.0)
    assert set(ids(answer)) == {"t50", "t51", "t53", "t54"}


async def test_limit_holds_and_no_track_comes_twice() -> None:
    answer = await ask(recommender(CATALOGUE), seeds=(Seed(track_id="t0"),), limit=30)
    assert len(ids(answer)) == len(set(ids(answer))) == 30


async def test_cap_per_artist_is_hard_when_asked_for() -> None:
    answer = await ask(recommender(CATALOGUE), seeds=(Seed(artist_id="artist3"),), limit=40, max_per_artist=1)
    artists = [one.track.artist_ids[0] for one in answer.items]
    assert len(artists) == len(set(artists))


async def test_default_cap_gives_way_before_the_list_stays_short() -> None:
    only = [at(i, f"t{i}", "one") for i in range(10)]
    assert len(ids(await ask(recommender(only), limit=10))) == 10


async def test_unknown_seeds_are_named() -> None:
    with pytest.raises(UnknownSeed, match="track:nowhere"):
        await ask(recommender(CATALOGUE), seeds=(Seed(track_id="nowhere"),))
    answer = await ask(recommender(CATALOGUE), seeds=(Seed(track_id="nowhere"), Seed(track_id="t0")))
    assert answer.degraded == ("seed:track:nowhere",)
    assert answer.items


async def test_playlist_and_title_are_seeds() -> None:
    made = recommender(CATALOGUE)
    assert "t2" in ids(await ask(made, seeds=(Seed(playlist_id="p"),)))
    assert "t2" not in ids(await ask(made, seeds=(Seed(query="title T2 - NAME artist0"),)))
    assert "t1" in ids(await ask(made, seeds=(Seed(query="Name Artist0 - Title t2"),)))


async def test_taste_is_where_the_list_starts_without_seeds() -> None:
    person = Person(anchors=(Anchor("t52", 1.0, NOW),), heard={"t52": NOW})
    answer = await ask(recommender(CATALOGUE), person, limit=4, max_per_artist=4, breadth=0.0)
    assert set(ids(answer)) == {"t50", "t51", "t53", "t54"}


async def test_clock_that_runs_ahead_does_not_erase_what_else_they_like() -> None:
    far = 253_402_300_000_000  # year 9999
    person = Person(anchors=(Anchor("t0", 1.0, far), Anchor("t52", 4.0, NOW)), heard={"t0": far, "t52": NOW})
    answer = await ask(recommender(CATALOGUE), person, limit=4, max_per_artist=4, breadth=0.0)
    assert "artist10" in {one.track.artist_ids[0] for one in answer.items}


async def test_nobody_known_gets_the_popular() -> None:
    assert all(one.track.popularity == 4.0 for one in (await ask(recommender(CATALOGUE), limit=10)).items)


async def test_new_release_of_an_artist_they_listen_to_comes_first() -> None:
    person = Person(anchors=(Anchor("t52", 1.0, NOW),), heard={"t52": NOW})
    release = at(190, "new", "artist10", added_at_ms=NOW - 1)
    assert ids(await ask(recommender([*CATALOGUE, release]), person, limit=3))[0] == "new"


async def test_channels_that_fail_or_come_late_are_named() -> None:
    answer = await ask(recommender(CATALOGUE, Broken(), Slow()), within_s=0.2, seeds=(Seed(track_id="t0"),))
    assert answer.degraded == ("broken", "slow")
    assert answer.items


async def test_blocked_artist_is_no_start_and_no_result() -> None:
    person = Person(anchors=(Anchor("t52", 1.0, NOW),), blocked_artists=frozenset({"artist10"}))
    answer = await ask(recommender(CATALOGUE), person, limit=500)
    assert len(ids(answer)) == 95


async def test_callers_own_events_count_like_published_ones() -> None:
    skip = Listen(event_id="e", user_id="u", kind="skip", occurred_at_ms=NOW, track_id="t51")
    made = recommender(CATALOGUE)
    asked = {"seeds": (Seed(track_id="t52"),), "limit": 4, "max_per_artist": 4, "breadth": 0.0}
    before = ids(await ask(made, **asked))
    after = ids(await ask(made, **asked, session=(skip,)))
    assert "t51" in before
    assert "t51" not in after


async def test_three_skips_of_one_pocket_turn_the_next_list_away_from_it() -> None:
    # Two kinds of music that only the lists which hold their tracks tell apart.
    tracks = [
        IndexedTrack(one.track, {**one.vectors, COOCCURRENCE: direction(90 * (n % 2) + n / 10)})
        for n, one in enumerate(at(n / 100, f"t{n}", f"by t{n}") for n in range(60))
    ]
    made = recommender(tracks)
    person = Person(anchors=(Anchor("t58", 1.0, NOW), Anchor("t59", 1.0, NOW)))

    async def listed(*skipped: int, played_ms: int = 3_000) -> list[int]:
        session = tuple(
            Listen(event_id=str(n), user_id="u", kind="skip", occurred_at_ms=NOW, track_id=f"t{n}", played_ms=played_ms)
            for n in skipped
        )
        return [int(one[1:]) for one in ids(await ask(made, person, session=session, limit=20))]

    def share_of_the_odd(rows: list[int]) -> float:
        return sum(row % 2 for row in rows) / len(rows)

    before = share_of_the_odd(await listed())
    assert before >= 0.4
    assert share_of_the_odd(await listed(1, 3, 5)) <= before / 2
    # Neither two of them do so, nor late ones.
    assert share_of_the_odd(await listed(3, 5)) > before / 2
    assert share_of_the_odd(await listed(1, 3, 5, played_ms=25_000)) > before / 2


async def test_higher_breadth_serves_every_pocket() -> None:
    person = Person(anchors=(Anchor("t0", 2.0, NOW), Anchor("t50", 1.0, NOW)))
    made = recommender(CATALOGUE)
    wide = await ask(made, person, breadth=1.0, limit=6, filters=Filters(exclude_heard_days=0))
    assert {"artist0", "artist10"} <= {one.track.artist_ids[0] for one in wide.items}


def sounding(energy: float, track_id: str, degrees: float, **fields: object) -> IndexedTrack:
    features = Features(energy=energy, acousticness=1 - energy, tempo=120.0)
    return at(degrees, track_id, f"by {track_id}", features=features, **fields)


CALM = [
    sounding(0.1 + 0.003 * n, f"calm{n}", n, genres=("folk",), release_date="1985", popularity=n) for n in range(60)
]
WILD = [sounding(0.9, f"wild{n}", 90 + n, genres=("metal",), release_date="2015", popularity=99) for n in range(60)]


async def test_words_for_a_sound_lead_to_tracks_that_sound_so() -> None:
    made = recommender([*CALM, *WILD])
    for text, kind in (("calm acoustic evening", "calm"), ("energetic metal", "wild"), ("folk from the 80s", "calm")):
        answer = await ask(made, seeds=(Seed(query=text),), limit=20)
        assert len(answer.items) == 20
        assert {track_id.rstrip("0123456789") for track_id in ids(answer)} == {kind}
        assert [one.kind for one in answer.understood] == ["words"]


async def test_what_was_understood_is_told() -> None:
    made = recommender([*CALM, *WILD])
    answer = await ask(made, seeds=(Seed(query="calm folk from the 80s, zanzibar"),), limit=5)
    (told,) = answer.understood
    assert (told.genres, told.features, told.years) == (("folk",), {"energy": (0.0, 0.45)}, (1985 - 5, 1989))
    assert told.ignored == ("zanzibar",)
    answer = await ask(made, seeds=(Seed(query="titel calm59"),), limit=5)
    assert [(one.kind, one.track_id, one.query) for one in answer.understood] == [("track", "calm59", "titel calm59")]


async def test_ranges_are_widened_when_too_few_tracks_are_within() -> None:
    few = [sounding(0.3, "in", 1), *(sounding(0.55, f"near{n}", n) for n in range(50)), *WILD]
    answer = await ask(recommender(few), seeds=(Seed(query="calm"),), limit=10)
    assert answer.understood[0].features == {"energy": (0.0, 0.6)}
    assert len(ids(answer)) == 10
    assert not any(track_id.startswith("wild") for track_id in ids(answer))


async def test_well_known_title_is_meant_even_if_it_is_a_mood() -> None:
    hit, obscure = (at(3, name, name, title=name, popularity=share) for name, share in (("Happy", 80.0), ("Calm", 5.0)))
    made = recommender([*CALM, *WILD, hit, obscure])
    assert (await ask(made, seeds=(Seed(query="happy"),))).understood[0].kind == "track"
    assert (await ask(made, seeds=(Seed(query="calm"),))).understood[0].kind == "words"


async def test_words_beside_a_track_narrow_what_is_like_it() -> None:
    made = recommender([*CALM, *WILD])
    answer = await ask(made, seeds=(Seed(track_id="wild0"), Seed(query="calm acoustic")), limit=10)
    assert {track_id.rstrip("0123456789") for track_id in ids(answer)} == {"calm"}


async def test_words_of_several_seeds_hold_at_once_or_are_refused() -> None:
    made = recommender([*CALM, *WILD])
    answer = await ask(made, seeds=(Seed(query="calm"), Seed(query="80s folk")), limit=5)
    assert [(one.features, one.years) for one in answer.understood] == [({"energy": (0.0, 0.45)}, (1980, 1989))]
    with pytest.raises(UnknownSeed, match="go together, got 'calm'"):
        await ask(made, seeds=(Seed(query="calm"), Seed(query="angry")))


async def test_text_that_means_nothing_is_told_with_what_is_near() -> None:
    made = recommender(CATALOGUE)
    with pytest.raises(UnknownSeed, match=r"query:title tttttt \(near: Title t"):
        await ask(made, seeds=(Seed(query="title tttttt"),))
    with pytest.raises(UnknownSeed, match=r"got query:   $"):
        await ask(made, seeds=(Seed(query="   "),))


async def test_ambiguous_title_gives_the_most_popular_and_names_the_others() -> None:
    same = [at(10 * n, f"s{n}", f"artist{n}", title="Same", popularity=float(n)) for n in range(3)]
    answer = await ask(recommender([*CATALOGUE, *same]), seeds=(Seed(query="same"),), limit=3)
    assert answer.understood[0].track_id == "s2"
    assert answer.understood[0].others == ("Same by Name artist1", "Same by Name artist0")


async def test_artists_name_is_a_seed() -> None:
    answer = await ask(recommender(CATALOGUE), seeds=(Seed(query="naem artist3"),), limit=5, max_per_artist=5)
    assert answer.understood[0].artist_id == "artist3"


async def test_no_track_of_a_long_playlist_comes_back() -> None:
    held = tuple(f"t{n}" for n in range(95))

    class Long:
        async def track_ids(self, playlist_id: str) -> tuple[str, ...] | None:
            return (*held, *(f"gone{n}" for n in range(20_000)))

    made = dataclasses.replace(recommender(CATALOGUE), playlists=Long())
    answer = await ask(made, seeds=(Seed(playlist_id="p"),), limit=50)
    assert answer.items
    assert not set(ids(answer)) & set(held)


async def test_filters_that_nothing_can_pass_are_an_empty_list_that_says_why() -> None:
    answer = await ask(recommender(CATALOGUE), filters=Filters(released_from="2020", released_to="2019"))
    assert (answer.items, answer.degraded) == ((), ())
    assert answer.notes == ("released_from 2020 is after released_to 2019",)


async def test_list_that_is_short_says_what_was_left_out() -> None:
    person = Person(heard={f"t{i}": NOW for i in range(90)}, dislikes=frozenset({"t90"}))
    answer = await ask(recommender(CATALOGUE), person, limit=30)
    assert len(ids(answer)) == 9
    assert answer.notes == ("9 of 30 tracks: left out 90 heard, 1 disliked",)
    assert (await ask(recommender(CATALOGUE), limit=30)).notes == ()


async def test_other_release_of_a_disliked_recording_does_not_come() -> None:
    again = at(45, "again", "artist2", title="Title t12 - Remastered", added_at_ms=NOW - 90 * DAY)
    made = recommender([*CATALOGUE, again])
    assert "again" in ids(await ask(made, limit=100, filters=Filters(exclude_track_ids=("t12",))))
    assert "again" not in ids(await ask(made, Person(dislikes=frozenset({"t12"})), limit=100))


async def test_channel_that_is_later_than_it_may_be_is_left_out_alone() -> None:
    made = replace(recommender(CATALOGUE, Slow()), allowances={"slow": Allowance(within_s=0.01)})
    async with asyncio.timeout(60):
        answer = await ask(made, seeds=(Seed(track_id="t0"),), within_s=600)
    assert answer.degraded == ("slow",)
    assert answer.items


async def test_channel_is_asked_for_no_more_than_it_may_give() -> None:
    made = replace(recommender(CATALOGUE), allowances={"acoustic": Allowance(limit=3)})
    answer = await ask(made, seeds=(Seed(track_id="t52"),), limit=30)
    # The nearest of all is the seed itself, which never comes.
    assert sorted(one.ranks["acoustic"] for one in answer.items if "acoustic" in one.ranks) == [1, 2]


async def test_no_artist_comes_twice_within_four_positions() -> None:
    person = Person(anchors=(Anchor("t52", 1.0, NOW),))
    answer = await ask(recommender(CATALOGUE), person, limit=15, breadth=0.0)
    artists = [one.track.artist_ids[0] for one in answer.items]
    assert len(set(artists)) < len(artists) == 15
    assert all(len(set(artists[start : start + 4])) == 4 for start in range(12))


async def test_list_that_is_heard_in_order_is_smooth() -> None:
    loud = {f"t{i}": (i * 37) % 100 / 100 for i in range(100)}
    tracks = [
        IndexedTrack(structs.replace(one.track, features=Features(energy=loud[one.track.track_id])), one.vectors)
        for one in CATALOGUE
    ]
    jumps = {}
    for surface in ("made_for_you", "radio"):
        heard = [loud[i] for i in ids(await ask(recommender(tracks), limit=30, surface=surface))]
        jumps[surface] = sum(abs(one - other) for one, other in pairwise(heard))
    assert jumps["radio"] < 0.5 * jumps["made_for_you"]


LISTENER = Person(
    anchors=(Anchor("t52", 2.0, NOW), Anchor("t20", 1.0, NOW)),
    followed_artists=("artist15",),
    heard={"t52": NOW, "t20": NOW, "t70": NOW},
    session=(Listen(event_id="e", user_id="u", kind="play", occurred_at_ms=NOW, track_id="t70"),),
)
RELEASE = at(300, "release", "artist15", added_at_ms=NOW - DAY)


async def without(reason: str) -> Answer:
    """The listener's list, had what a term of the score stands for not been there."""
    made = recommender([*CATALOGUE, RELEASE])
    if reason == "session_finished":
        return await ask(made, structs.replace(LISTENER, session=()))
    kept = [channel for channel in made.channels if channel.name != reason]
    return await ask(replace(made, channels=kept), LISTENER)


async def test_item_falls_when_the_reason_that_it_names_is_taken_away() -> None:
    answer = await ask(recommender([*CATALOGUE, RELEASE]), LISTENER)
    reasons = set()
    for one in answer.items:
        terms = {name: value for name, value in one.contributions.items() if name in one.reasons}
        reason = max(terms, key=lambda name: terms[name])
        said = one.reasons[reason]
        assert explain(one).text.startswith(said[0].upper() + said[1:])
        reasons.add(reason)
        before, after = scores(answer), scores(await without(reason))
        assert after.get(one.track.track_id, -1.0) < before[one.track.track_id]
    assert reasons >= {"acoustic", "fresh", "session_finished"}


def scores(answer: Answer) -> dict[str, float]:
    """Without what other tracks take away."""
    return {one.track.track_id: one.score - one.contributions.get("variety", 0.0) for one in answer.items}


async def test_plays_and_seeds_behind_an_item_are_named() -> None:
    answer = await ask(recommender([*CATALOGUE, RELEASE]), LISTENER, limit=100)
    near = next(explain(one) for one in answer.items if one.track.track_id == "t71")
    assert "close to Title t70, which you just finished" in near.text.replace("Close", "close")
    assert "t70" in near.seed_track_ids
    assert sum(near.contributions.values()) == pytest.approx(
        next(one.score for one in answer.items if one.track.track_id == "t71"), abs=1e-5
    )
