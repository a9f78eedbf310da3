"""Two rankings beside each other: shares worked by hand, intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import TooFewTrials
from models.rewards import Reaction
from streams.ranking import part_of
from streams.ranking_outcomes import outcomes
from streams.served_log import Followed
from topics.records import Served, ServedItem

FINISHED, SKIPPED, LATE = ("play", 1.0, False), ("skip", 0.1, True), ("skip", 0.5, False)


def answer(version: str, person: str | None, *reactions: tuple[str, float, bool] | None) -> Followed:
    items = tuple(
        ServedItem(
            track_id=f"t{n}", position=n, explored=False, propensity=None, features=(), feature_names_version="4"
        )
        for n in range(len(reactions))
    )
    served = Served(
        request_id=f"r-{version}-{person}",
        user_id=person,
        surface="radio",
        served_at_ms=1,
        policy_version=version,
        items=items,
    )
    told = {f"t{n}": [Reaction(f"t{n}", *one)] for n, one in enumerate(reactions) if one is not None}  # type: ignore[arg-type]
    return Followed(served, told)


def test_shares_of_two_versions_and_their_difference_by_hand() -> None:
    found = outcomes(
        [
            answer("new", "ada", FINISHED, FINISHED, SKIPPED, None),
            answer("new", "bob", FINISHED, LATE, FINISHED, FINISHED),
            answer("old", "cyd", SKIPPED, SKIPPED),
            answer("old", "dan", FINISHED, LATE),
            answer("old", "eve", None, None),
            answer("new", None, SKIPPED, SKIPPED),
        ],
        ("new", "old"),
    )
    new, old = found["versions"]["new"], found["versions"]["old"]
    assert (new["people"], new["tracks"], old["people"], old["tracks"]) == (2, 8, 2, 4)
    assert (new["completed"]["value"], old["completed"]["value"]) == (5 / 8, 1 / 4)
    assert (new["skipped"]["value"], old["skipped"]["value"]) == (1 / 8, 2 / 4)
    # A track heard to its end earns 1, one left after a half 0.5, one left at a tenth of it 0.1 - 0.5.
    assert new["reward"]["value"] == pytest.approx((2 - 0.4 + 3.5) / 8)
    assert found["difference"]["completed"]["value"] == pytest.approx(3 / 8)
    assert found["people_of_both"] == 0


def test_interval_of_a_difference_that_there_is_not_holds_nothing_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        answers = []
        for person in range(60):
            taste = rng.beta(2, 2)
            heard = [FINISHED if rng.random() < taste else SKIPPED for _ in range(10)]
            answers.append(answer("ab"[person % 2], f"p{person}", *heard))
        difference = outcomes(answers, ("a", "b"), confidence=0.9)["difference"]["completed"]
        covered += difference["low"] <= 0 <= difference["high"]
    # Of 200 runs 180 are expected; 4 standard deviations are 17.
    assert 163 <= covered <= 197


def test_versions_of_most_answers_are_taken_and_too_few_people_are_refused() -> None:
    some = [
        answer(version, f"{n}", FINISHED) for version, count in (("a", 2), ("b", 4), ("c", 3)) for n in range(count)
    ]
    assert list(outcomes(some, None)["versions"]) == ["b", "c"]
    with pytest.raises(TooFewTrials, match=r"a \(2\), b \(4\), c \(3\)"):
        outcomes(some, ("a", "d"))
    with pytest.raises(TooFewTrials, match="none"):
        outcomes([], None)


def test_people_stand_evenly_and_for_ever_in_the_same_place() -> None:
    places = [part_of(f"u{n}") for n in range(10_000)]
    assert places[0] == part_of("u0")
    counts, _ = np.histogram(places, bins=10, range=(0, 1))
    assert counts.sum() == 10_000
    assert all(880 < one < 1120 for one in counts)
