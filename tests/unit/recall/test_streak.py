"""Skips in a row turn the next list away from what they have in common, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from recall.merge import Merged
from recall.session import SILENCE_MS
from recall.streak import AWAY, TERM, likeness, skipped_in_a_row, turned_away
from recall.tracks import ACOUSTIC, COOCCURRENCE, IndexedTrack
from tests.unit.recall.tracks import at, direction, track
from topics.records import Listen


def event(kind: str, track_id: str = "t", played_ms: int | None = 3_000, at_ms: int = 0) -> Listen:
    return Listen(
        event_id=f"{kind}{track_id}{at_ms}",
        user_id="u",
        kind=kind,
        track_id=track_id,
        played_ms=played_ms,
        occurred_at_ms=at_ms,
    )


A, B, C = (event("skip", one) for one in "abc")


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ([A, B, C], ("c", "b", "a")),
        ([event("play", "x"), A, B, C], ("c", "b", "a")),
        ([B, C], ()),
        ([A, B, C, event("play", "x", 200_000)], ()),
        ([A, event("play", "x", 200_000), B, C], ()),
        ([A, event("like", "x"), B, C], ()),
        # What says nothing of a track does not interrupt, and what speaks against one neither.
        ([A, event("unrate", "x"), B, event("dislike", "b"), C], ("c", "b", "a")),
        # 15 s is soon, half a minute is not.
        ([A, event("skip", "b", 15_000), C], ("c", "b", "a")),
        ([A, event("skip", "b", 16_000), C], ()),
        ([A, event("skip", "b", None), C], ("c", "b", "a")),
        # One track three times is no kind of music.
        ([A, event("skip", "a", at_ms=1), event("skip", "a", at_ms=2)], ()),
        ([A, B, event("skip", "c", at_ms=SILENCE_MS + 1)], ()),
        ([A, event("skip", "b", at_ms=SILENCE_MS), event("skip", "c", at_ms=2 * SILENCE_MS)], ("c", "b", "a")),
        ([], ()),
    ],
)
def test_what_is_a_streak(session: list[Listen], expected: tuple[str, ...]) -> None:
    assert skipped_in_a_row(session) == expected


def placed(track_id: str, sound: float | None, lists: float | None) -> IndexedTrack:
    vectors = {ACOUSTIC: sound, COOCCURRENCE: lists}
    return IndexedTrack(track(track_id), {name: direction(at) for name, at in vectors.items() if at is not None})


def places_of(*tracks: IndexedTrack) -> dict[str, dict[str, np.ndarray]]:
    return {
        name: {one.track.track_id: one.vectors[name] for one in tracks if name in one.vectors}
        for name in (ACOUSTIC, COOCCURRENCE)
    }


def test_likeness_is_the_mean_over_what_was_skipped_and_the_spaces_that_are_known() -> None:
    skipped = [placed("s1", 0, 0), placed("s2", 0, 60), placed("s3", 0, None)]
    tracks = [
        placed("both", 0, 0),
        placed("sound", 60, None),
        placed("lists", None, 60),
        placed("opposite", 180, 180),
        placed("nowhere", None, None),
    ]
    found = likeness([one.track.track_id for one in tracks], skipped, places_of(*tracks))
    # By sound 1, by lists (1 + 0.5) / 2; by sound alone cos 60; by lists alone (0.5 + 1) / 2; never below 0.
    np.testing.assert_allclose(found, [(1 + 0.75) / 2, 0.5, 0.75, 0, 0], atol=1e-6)


def test_what_is_like_all_that_was_skipped_falls_below_what_is_not() -> None:
    skipped = [at(angle, f"s{angle}") for angle in (0, 5, 10)]
    near, far = at(5, "near"), at(105, "far")
    given = [Merged(near.track, {}, {"acoustic": 0.9}, {}), Merged(far.track, {}, {"acoustic": 0.1}, {})]
    loses, keeps = turned_away(given, skipped, places_of(near, far))
    assert loses.contributions[TERM] == pytest.approx(-AWAY, rel=0.01)
    assert loses.score == pytest.approx(0.9 - AWAY, rel=0.01)
    assert keeps == given[1]
    # Skips of three kinds say little of any of them.
    scattered = turned_away(given, [at(angle, f"s{angle}") for angle in (5, 125, 245)], places_of(near, far))
    assert scattered[0].contributions[TERM] == pytest.approx(-AWAY / 3, rel=0.01)


def test_without_a_streak_nothing_changes() -> None:
    near = at(5, "near")
    given = [Merged(near.track, {}, {"acoustic": 0.9}, {})]
    assert list(turned_away(given, (), places_of(near))) == given
    assert list(turned_away([], [near], {})) == []
