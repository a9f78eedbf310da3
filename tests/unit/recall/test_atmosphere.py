from __future__ import annotations

import math

import pytest

from recall.atmosphere import MOOD, atmosphere, gains
from tests.unit.recall.tracks import track
from topics.records import Features


def felt(energy: float, valence: float, danceability: float) -> Features:
    return Features(energy=energy, valence=valence, danceability=danceability)


def test_mood_is_the_mean_of_what_was_liked_by_how_much() -> None:
    loud, calm = track("loud", features=felt(0.9, 0.5, 0.5)), track("calm", features=felt(0.3, 0.5, 0.5))
    session = atmosphere([(loud, 1.0), (calm, 0.5)])
    assert session.mean == pytest.approx([0.7, 0.5, 0.5])
    # 1.5 of likes, against 2 that would make it half sure.
    assert session.sure == pytest.approx(1.5 / 3.5)


def test_gain_falls_with_distance_as_a_bell() -> None:
    session = atmosphere([(track("a", features=felt(0.5, 0.5, 0.5)), 2.0)])
    found = gains([track("same", features=felt(0.5, 0.5, 0.5)), track("off", features=felt(0.7, 0.5, 0.5))], session)
    assert found == pytest.approx([MOOD / 2, MOOD / 2 * math.exp(-0.5)])


def test_unknown_features_say_and_gain_nothing() -> None:
    mute, half = track("mute"), track("half", features=Features(energy=0.5))
    assert atmosphere([(mute, 1.0), (half, 1.0)]).sure == 0
    session = atmosphere([(track("a", features=felt(0.5, 0.5, 0.5)), 2.0), (mute, 1.0)])
    assert session.mean == pytest.approx([0.5, 0.5, 0.5])
    assert gains([mute, half], session).tolist() == [0.0, 0.0]


def test_no_session_no_gain() -> None:
    assert gains([track("a", features=felt(0.5, 0.5, 0.5))], atmosphere([])).tolist() == [0.0]
    assert len(gains([], atmosphere([(track("a", features=felt(0.5, 0.5, 0.5)), 2.0)]))) == 0
