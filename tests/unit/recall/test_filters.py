from __future__ import annotations

from collections.abc import Sequence

import pytest

from recall.filters import DAY_MS, Sifted, contradictions, forbidden, go_together, why_short
from recall.merge import Merged
from recall.person import NOBODY, Person
from recall.tracks import CataloguedTrack
from tests.unit.recall.tracks import track
from topics.records import Features, Filters, RecommendationRequest, Seed

NOW = 1_700_000_000_000


def merged(*tracks: CataloguedTrack) -> list[Merged]:
    return [Merged(one, {}, {}, {}) for one in tracks]


def removed_by(
    filters: Filters | None,
    *tracks: CataloguedTrack,
    person: Person = NOBODY,
    starts: Sequence[CataloguedTrack] = (),
    disliked: Sequence[CataloguedTrack] = (),
    **fields: object,
) -> dict[str, str]:
    request = RecommendationRequest(request_id="r", filters=filters, **fields)
    sifted = Sifted(merged(*tracks), forbidden(request, person, starts, disliked, now_ms=NOW))
    kept = [one.track.track_id for one in sifted]
    assert kept == [one.track_id for one in tracks if one.track_id not in sifted.removed]
    return sifted.removed


def test_heard_disliked_blocked_excluded_and_seeds_never_come() -> None:
    person = Person(heard={"heard": 1}, dislikes=frozenset({"bad"}), blocked_artists=frozenset({"enemy"}))
    tracks = [track("heard"), track("bad"), track("foe", "enemy"), track("seed"), track("out"), track("fine")]
    seeded = {"starts": [track("seed")], "seeds": (Seed(track_id="seed"),)}
    gone = removed_by(Filters(exclude_track_ids=("out",)), *tracks, person=person, **seeded)
    assert gone == {"heard": "heard", "bad": "disliked", "foe": "blocked_artist", "seed": "excluded", "out": "excluded"}


def test_heard_days_lets_older_plays_come_again() -> None:
    person = Person(heard={"recent": NOW - 2 * DAY_MS, "old": NOW - 4 * DAY_MS})
    tracks = [track("recent"), track("old")]
    assert removed_by(Filters(exclude_heard_days=3), *tracks, person=person) == {"recent": "heard"}
    assert removed_by(Filters(exclude_heard_days=0), *tracks, person=person) == {}
    assert removed_by(None, *tracks, person=person) == {"recent": "heard", "old": "heard"}


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        (Filters(explicit="exclude"), {"rude"}),
        (Filters(explicit="only"), {"plain", "unknown"}),
        (Filters(market="SE"), {"plain"}),
        (Filters(genres_any=("rock",)), {"plain", "unknown"}),
        (Filters(genres_none=("rock",)), {"rude"}),
        (Filters(released_from="2003-05"), {"plain", "unknown"}),
        (Filters(released_to="2003"), {"rude", "unknown"}),
        (Filters(features={"loudness": (-7.0, -5.0)}), {"plain", "unknown"}),
        (Filters(features={"key": (9, 9)}), {"plain", "unknown"}),
    ],
)
def test_each_filter_removes_what_does_not_fit(filters: Filters, gone: set[str]) -> None:
    rude = track(
        "rude",
        explicit=True,
        markets=("SE", "GB"),
        genres=("rock",),
        release_date="2004-01-02",
        features=Features(loudness=-6.0, key=9),
    )
    plain = track(
        "plain", explicit=False, markets=("GB",), release_date="2003", features=Features(loudness=-9.0, key=1)
    )
    assert set(removed_by(filters, rude, plain, track("unknown"))) == gone


def test_what_a_person_likes_is_no_seed_and_may_come() -> None:
    assert removed_by(None, track("liked"), starts=[track("liked")]) == {}


def test_other_releases_of_what_is_disliked_or_a_seed_do_not_come() -> None:
    song = {"title": "Halo", "duration_ms": 261_000}
    again = track("again", title="Halo - Remastered", duration_ms=261_500)
    live = track("live", title="Halo - Live", duration_ms=261_500)
    assert removed_by(None, again, live, disliked=[track("bad", **song)]) == {"again": "disliked"}
    seeded = {"starts": [track("seed", **song)], "seeds": (Seed(track_id="seed"),)}
    assert removed_by(None, again, live, **seeded) == {"again": "excluded"}


def test_earlier_weekly_lists_keep_a_track_out_of_the_next_and_of_no_other_list() -> None:
    person = Person(earlier_lists=frozenset({"shown"}))
    tracks = [track("shown"), track("new")]
    assert removed_by(None, *tracks, person=person, surface="discover_weekly") == {"shown": "earlier_list"}
    assert removed_by(None, *tracks, person=person, surface="radio") == {}


@pytest.mark.parametrize(
    ("tempo", "energy", "fits"),
    [
        (120.0, 0.5, True),
        (140.0, 0.8, True),
        (140.5, 0.5, False),
        (61.0, 0.5, True),
        (250.0, 0.5, True),
        (180.0, 0.5, False),
        (120.0, 0.81, False),
        (None, 0.5, False),
        (120.0, None, False),
    ],
)
def test_compatible_is_about_the_pulse_and_the_energy_of_a_start(
    tempo: float | None, energy: float | None, fits: bool
) -> None:
    start = track("start", features=Features(tempo=120.0, energy=0.5))
    one = track("one", features=Features(tempo=tempo, energy=energy))
    gone = {} if fits else {"one": "incompatible"}
    assert removed_by(Filters(compatible=True), one, starts=[track("mute"), start]) == gone
    assert removed_by(Filters(compatible=False), one, starts=[start]) == {}
    assert removed_by(Filters(compatible=True), one, starts=[track("mute")]) == {}


def test_pulse_is_compared_by_half_and_double_both_ways() -> None:
    slow, fast = Features(tempo=70.0, energy=0.5), Features(tempo=150.0, energy=0.5)
    assert go_together(slow, fast)
    assert go_together(fast, slow)


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (Filters(released_from="2020", released_to="2019-12"), "released_from 2020 is after released_to 2019-12"),
        (Filters(genres_any=("rock",), genres_none=("rock", "pop")), "every genre of genres_any is in genres_none"),
        (Filters(features={"energy": (1.5, 2.0)}), "energy is 0..1, never in [1.5, 2]"),
        (Filters(features={"tempo": (400.0, 500.0)}), "tempo is 0..300, never in [400, 500]"),
    ],
)
def test_filters_that_nothing_can_pass_say_so(filters: Filters, said: str) -> None:
    assert contradictions(filters) == [said]


def test_filters_that_something_can_pass_contradict_nothing() -> None:
    fine = Filters(
        released_from="2020-05",
        released_to="2020",
        genres_any=("rock", "pop"),
        genres_none=("rock",),
        features={"energy": (-1.0, 0.0), "loudness": (-70.0, -60.0)},
    )
    assert contradictions(fine) == contradictions(None) == []


def test_short_list_says_what_was_left_out() -> None:
    removed = {"a": "heard", "b": "market", "c": "heard"}
    said = why_short(2, 30, removed, Filters(genres_any=("rock",), features={"energy": (0.0, 0.1)}))
    assert said == "2 of 30 tracks: looked only for tracks that meet genres_any, energy; left out 2 heard, 1 market"
