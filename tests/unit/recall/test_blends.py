"""Which blend of channels serves whom."""

from __future__ import annotations

from collections import Counter

import pytest

from recall.blends import BALANCED, BLENDS, NAMES, Blends, blended, kind_of, place_of
from recall.merge import WEIGHTS
from recall.person import NOBODY, Person
from recall.policy import UNLEARNED, Policy
from topics.records import RecommendationRequest

GLAD = [("radio/few/balanced", (2_000.0, 600.0)), ("radio/few/by_sound", (2_000.0, 1_400.0))]


def request(number: int, **fields: object) -> RecommendationRequest:
    return RecommendationRequest(request_id=f"r{number}", **fields)


def test_blends_name_channels_that_there_are_and_none_is_silenced() -> None:
    for times in BLENDS.values():
        assert times.keys() <= WEIGHTS.keys()
        assert all(one > 0 for one in times.values())
    assert blended(WEIGHTS, BALANCED) == blended(WEIGHTS, None) == WEIGHTS
    assert blended({"acoustic": 2.0, "another model": 0.7}, "by_sound") == {"acoustic": 6.0, "another model": 0.7}


@pytest.mark.parametrize(("heard", "kind"), [(0, "new"), (1, "few"), (49, "few"), (50, "many")])
def test_a_listener_is_known_by_what_they_heard(heard: int, kind: str) -> None:
    assert kind_of(Person(heard={f"t{n}": n for n in range(heard)})) == kind
    assert kind_of(NOBODY) == "new"


def test_unknown_names_have_no_place() -> None:
    assert place_of("radio", "many", "by_lists") == "radio/many/by_lists"
    for names in (("tv", "many", "by_lists"), ("radio", None, "by_lists"), ("radio", "many", "x/y"), ("", "", None)):
        assert place_of(*names) is None


def test_before_anything_is_learnt_the_balanced_one_serves() -> None:
    for tries in ([], [("radio/few/by_sound", (9_000.0, 9_000.0))], [("radio/few/balanced", (8.0, 8.0))]):
        policy = Policy("live", UNLEARNED.posterior, blends=Blends(tries))
        assert {policy.blend("radio", "few", request(n)) for n in range(200)} == {BALANCED}
    assert UNLEARNED.blend("radio", "few", request(1)) is None


def test_what_earned_more_serves_there_and_nowhere_else() -> None:
    policy = Policy("live", UNLEARNED.posterior, blends=Blends([*GLAD, ("nowhere/few/x", (100.0, 5.0))]))
    drawn = Counter(policy.blend("radio", "few", request(n)) for n in range(500))
    assert drawn["by_sound"] > 450
    assert {policy.blend("radio", "many", request(n)) for n in range(50)} == {BALANCED}
    assert {policy.blend("daily_mix", "few", request(n)) for n in range(50)} == {BALANCED}


def test_what_several_learners_counted_adds_up() -> None:
    parts = [(place, (tried / 4, glad / 4)) for place, (tried, glad) in GLAD for _ in range(4)]
    whole, added = Blends(GLAD), Blends(parts)
    draws = [[one.chosen("radio", "few", f"r{n}", curious=True) for n in range(200)] for one in (whole, added)]
    assert draws[0] == draws[1]


def test_where_nothing_is_to_be_explored_the_best_one_serves() -> None:
    close = [("radio/few/balanced", (200.0, 100.0)), ("radio/few/by_lists", (200.0, 104.0))]
    policy = Policy("live", UNLEARNED.posterior, blends=Blends(close))
    assert len({policy.blend("radio", "few", request(n)) for n in range(200)}) > 1
    settled = {policy.blend("radio", "few", request(n, exploration=0.0)) for n in range(200)}
    never = Policy("live", UNLEARNED.posterior, explores=0.0, blends=Blends(close))
    assert settled == {never.blend("radio", "few", request(n)) for n in range(50)} == {BALANCED}


def test_releases_alone_have_nothing_to_blend() -> None:
    known = [(place.replace("radio", "release_radar"), tries) for place, tries in GLAD]
    assert Blends(known).chosen("release_radar", "few", "r", curious=True) == BALANCED


def test_every_blend_is_named_once() -> None:
    assert NAMES[0] == BALANCED
    assert 3 <= len(set(NAMES)) <= 5
