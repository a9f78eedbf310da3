"""Which way a listener leans, by hand."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from recall.channels import Acoustic
from recall.leaning import gladness, leaning
from recall.merge import Merged
from recall.person import Person
from recall.pipeline import Recommender
from recall.ranking_features import COLUMN, Scene, features_of
from recall.tracks import ACOUSTIC, IndexedTrack
from tests.brute_index import BruteIndex
from tests.unit.recall.test_pipeline import NoPlaylists
from tests.unit.recall.test_ranking_features import query
from tests.unit.recall.test_session import event
from tests.unit.recall.tracks import at
from topics.records import Listen, RecommendationRequest, Seed


@pytest.mark.parametrize(
    ("listened", "expected"),
    [
        (event("play"), 1.0),
        (event("play", played_ms=1_000, duration_ms=200_000), 1.0),
        (event("skip"), 0.0),
        (event("skip", played_ms=99_000, duration_ms=200_000), 0.0),
        (event("skip", played_ms=100_000, duration_ms=200_000), 1.0),  # left after its middle
        (event("like"), 1.0),
        (event("repeat"), 1.0),
        (event("dislike"), 0.0),
        (event("unrate"), None),
    ],
)
def test_gladness_of_an_event(listened: Listen, expected: float | None) -> None:
    assert gladness(listened) == expected


def test_hearings_count_against_the_usual_of_their_listener() -> None:
    """Three of four were moved on from: usual = (1 + 2.5) / (4 + 5), and each counts one of 4 + 10."""
    session = [
        event("skip", "a"),
        event("play", "b"),
        event("skip", "c", 1),
        event("skip", "c", 2),
        event("unrate", "d"),
    ]
    found = leaning(session, {})
    usual = 3.5 / 9
    expected = {"a": -usual / 14, "b": (1 - usual) / 14, "c": -2 * usual / 14}
    assert found.weights == pytest.approx(expected)
    assert not found.sound.any()


def test_what_is_like_what_was_heard_gladly_stands_above_what_is_like_the_rest() -> None:
    known = {"glad": at(0, "glad"), "left": at(90, "left"), "unheard": IndexedTrack(at(0, "unheard").track)}
    found = leaning(
        [event("play", "glad"), event("skip", "left"), event("play", "unheard"), event("play", "gone")], known
    )
    candidates = [at(0, "near glad"), at(90, "near left"), at(180, "opposite"), IndexedTrack(at(0, "silent").track)]
    vectors = {one.track.track_id: one.vectors[ACOUSTIC] for one in candidates if one.vectors}
    scene = Scene(replace(query(), leaning=found), vectors, {}, frozenset(), None)
    rows = features_of([Merged(one.track, {}, {}, {}) for one in candidates], scene)
    usual = (3 + 2.5) / 9
    glad, left = (1 - usual) / 14, -usual / 14
    assert rows[:, COLUMN["leaning_sound"]] == pytest.approx([glad, left, -glad, 0.0], abs=1e-6)


def test_nothing_heard_leans_no_way() -> None:
    assert leaning([], {}).weights == {}
    assert leaning([event("unrate")], {"t": at(0, "t")}).weights == {}
    assert leaning([event("unrate")], {"t": at(0, "t")}).sound.tolist() == [0.0] * 64


@pytest.mark.parametrize("sessions", [True, False])
async def test_the_features_of_an_answer_tell_it_unless_sessions_are_off(sessions: bool) -> None:
    index = BruteIndex([at(angle, f"t{angle}") for angle in range(0, 180, 15)])
    recommender = Recommender(index, NoPlaylists(), [Acoustic(index)], sessions=sessions)
    person = Person(user_id="u", session=(event("play", "t30"), event("skip", "t150", 1_000)))
    request = RecommendationRequest(
        request_id="r", user_id="u", seeds=(Seed(track_id="t90"),), limit=4, exploration=0.0
    )
    answer = await recommender.answer(request, person, now_ms=0, deadline_s=asyncio.get_running_loop().time() + 5)
    usual = 3.5 / 7
    for item, features in zip(answer.items, answer.shown.items_logged(), strict=True):
        angle = int(item.track.track_id[1:])
        glad, left = ((math.cos(math.radians(angle - other))) for other in (30, 150))
        expected = (1 - usual) / 12 * glad - usual / 12 * left if sessions else 0.0
        assert features[COLUMN["leaning_sound"]] == pytest.approx(expected, abs=1e-4)
    assert len(answer.items) == 4
