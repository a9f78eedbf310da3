from __future__ import annotations

import pytest

from recall.merge import Merged
from recall.rank import rank
from recall.session import liked_lately, merged_session, mood, strengths, verdict
from recall.tracks import ACOUSTIC, IndexedTrack
from tests.unit.recall.tracks import at
from topics.records import Features, Listen


def event(kind: str, track_id: str = "t", played_ms: int | None = None, event_id: str = "", **more: object) -> Listen:
    return Listen(
        event_id=event_id or f"{kind}{track_id}{played_ms}",
        user_id="u",
        kind=kind,
        occurred_at_ms=0,
        track_id=track_id,
        played_ms=played_ms,
        **more,
    )


@pytest.mark.parametrize(
    ("listened", "expected"),
    [
        (event("skip"), -1.0),
        (event("skip", played_ms=0), -1.0),
        (event("skip", played_ms=15_000), -0.5),
        (event("skip", played_ms=30_000), 0.0),
        (event("skip", played_ms=200_000), 0.0),
        (event("play"), 1.0),
        (event("play", played_ms=50_000, duration_ms=200_000), 0.25),
        (event("play", played_ms=400_000, duration_ms=200_000), 1.0),
        (event("play", played_ms=10_000), 0.0),
        (event("like"), 1.0),
        (event("dislike"), -1.0),
        (event("unrate"), 0.0),
    ],
)
def test_verdict_of_an_event(listened: Listen, expected: float) -> None:
    assert verdict(listened) == pytest.approx(expected)


def ranked(session: list[Listen], *candidates: IndexedTrack, known: tuple[IndexedTrack, ...]) -> list[Merged]:
    felt = mood(session, {one.track.track_id: one for one in known})
    even = [Merged(one.track, {}, {"acoustic": 0.5}, {}) for one in candidates]
    return rank(even, {one.track.track_id: one.vectors[ACOUSTIC] for one in candidates if one.vectors}, felt)


SKIPPED, FINISHED = at(0, "skipped", "x"), at(90, "finished", "y")
NEAR_SKIPPED, NEAR_FINISHED = at(5, "near-skipped", "p"), at(85, "near-finished", "q")


def test_near_what_was_skipped_sinks_and_near_what_was_finished_rises() -> None:
    order = ranked(
        [event("play", "finished"), event("skip", "skipped")],
        NEAR_SKIPPED,
        NEAR_FINISHED,
        known=(SKIPPED, FINISHED),
    )
    assert [one.track.track_id for one in order] == ["near-finished", "near-skipped"]
    assert order[0].score > 0.5 > order[1].score


def test_sooner_skip_pushes_harder() -> None:
    early = ranked([event("skip", "skipped", 1_000)], NEAR_SKIPPED, known=(SKIPPED,))[0].score
    late = ranked([event("skip", "skipped", 25_000)], NEAR_SKIPPED, known=(SKIPPED,))[0].score
    assert early < late < 0.5


def test_older_event_pushes_less() -> None:
    now = ranked([event("skip", "skipped")], NEAR_SKIPPED, known=(SKIPPED,))[0].score
    plays = [event("play", "unknown", event_id=str(i)) for i in range(5)]
    before = ranked([event("skip", "skipped"), *plays], NEAR_SKIPPED, known=(SKIPPED,))[0].score
    assert now < before < 0.5


def test_skip_pushes_the_same_artist_though_it_sounds_otherwise() -> None:
    order = ranked([event("skip", "skipped")], at(120, "same", "x"), at(120, "other", "z"), known=(SKIPPED,))
    assert [one.track.track_id for one in order] == ["other", "same"]


def test_event_about_an_unknown_track_moves_nothing() -> None:
    assert ranked([event("skip", "nowhere")], NEAR_SKIPPED, known=())[0].score == 0.5


def test_callers_own_events_come_last_and_once() -> None:
    stored = [event("play", "a", event_id="1"), event("play", "b", event_id="2")]
    given = [event("play", "b", event_id="2"), event("skip", "c", event_id="3")]
    assert [one.event_id for one in merged_session(stored, given)] == ["1", "2", "3"]


def test_track_of_unknown_sound_goes_with_its_artist() -> None:
    unheard = IndexedTrack(at(0, "unheard", "y").track)
    other = IndexedTrack(at(0, "other", "z").track)
    order = ranked([event("play", "finished")], other, unheard, known=(FINISHED,))
    # The pull is what a track of the very same sound would get: 0.3 of the last event's whole force.
    assert [(one.track.track_id, round(one.score, 6)) for one in order] == [("unheard", 0.8), ("other", 0.5)]


def test_what_was_before_a_silence_counts_less() -> None:
    def of_hour(hour: int, kind: str, track_id: str) -> Listen:
        return Listen(event_id=f"{hour}", user_id="u", kind=kind, occurred_at_ms=hour * 3_600_000, track_id=track_id)

    # One hearing later keeps 0.9 of it, a silence 0.3 of that.
    assert strengths([of_hour(1, "play", "a"), of_hour(2, "like", "b"), of_hour(2, "play", "b")]) == pytest.approx(
        [0.27, 0.9, 1.0]
    )
    assert strengths([]) == []


def test_every_term_of_a_session_is_in_the_score() -> None:
    features = Features(energy=0.5, valence=0.5, danceability=0.5)
    known = tuple(at(90, f"k{n}", "y", features=features) for n in range(4))
    session = [event("play", f"k{n}") for n in range(4)]
    (one,) = ranked(session, at(90, "new", "y", features=features), known=known)
    # Hearings of 0.729, 0.81, 0.9 and 1: 3.439 in all.
    expected = {
        "acoustic": 0.5,
        "session_finished": 0.3,
        "session_mood": 0.1 * 3.439 / 5.439,
        "session_fatigue": -0.05 * 1.439,
    }
    assert one.contributions == pytest.approx(expected)


def test_what_was_liked_since_the_last_silence_is_asked_with_the_latest_last() -> None:
    def after(minutes: int, kind: str, track_id: str, played_ms: int | None = None) -> Listen:
        return Listen(
            event_id=f"{minutes}",
            user_id="u",
            kind=kind,
            occurred_at_ms=minutes * 60_000,
            track_id=track_id,
            played_ms=played_ms,
            duration_ms=200_000,
        )

    before = [after(0, "play", "yesterday")]
    session = [
        after(40, "play", "a"),
        after(44, "play", "b"),
        after(45, "skip", "c"),
        after(50, "play", "half", 90_000),
        after(55, "like", "d"),
        after(56, "play", "a"),
    ]
    assert liked_lately(before + session) == ("b", "d", "a")
    assert liked_lately(before) == ("yesterday",)
    assert liked_lately([]) == ()
