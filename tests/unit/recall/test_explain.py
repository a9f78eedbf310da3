from __future__ import annotations

import pytest

from recall.explain import explain
from recall.merge import Merged
from tests.unit.recall.tracks import track


def said(contributions: dict[str, float], reasons: dict[str, str]) -> str:
    return explain(Merged(track("t"), {}, contributions, reasons)).text


def test_strongest_reasons_are_named_first_and_no_more_than_two() -> None:
    reasons = {"a": "more by A", "b": "sounds like B", "c": "popular in C"}
    assert said({"a": 0.1, "b": 0.3, "c": 0.2}, reasons) == "Sounds like B; popular in C"


def test_reason_that_adds_next_to_nothing_is_not_named() -> None:
    assert said({"a": 0.4, "b": 0.09}, {"a": "more by A", "b": "sounds like B"}) == "More by A"


def test_term_without_a_reason_hides_none() -> None:
    assert said({"prior": 1.5, "a": 0.1, "variety": -0.2}, {"a": "more by A"}) == "More by A"


def test_what_pushed_a_track_down_is_no_reason_for_it() -> None:
    assert said({"a": -0.4, "b": 0.1}, {"a": "close to A", "b": "sounds like B"}) == "Sounds like B"
    assert said({"prior": 1.0}, {}) == "Suggested for you"


def test_same_reason_of_two_terms_is_said_once() -> None:
    assert said({"a": 0.3, "b": 0.2}, {"a": "new in pop", "b": "new in pop"}) == "New in pop"


def test_contributions_sum_to_the_score() -> None:
    one = Merged(track("t"), {}, {"a": 0.123456789, "b": -1 / 3, "c": 0.2}, {"a": "more by A"})
    assert sum(explain(one).contributions.values()) == pytest.approx(one.score, abs=3e-6)
