from __future__ import annotations

import pytest

from recall.filters import DAY_MS, allowed, forbidden
from recall.merge import Merged
from recall.person import NOBODY, Person
from recall.tracks import CataloguedTrack
from tests.unit.recall.tracks import track
from topics.records import Features, Filters, RecommendationRequest

NOW = 1_700_000_000_000


def merged(*tracks: CataloguedTrack) -> list[Merged]:
    return [Merged(one, {}, {}, {}) for one in tracks]


def removed_by(
    filters: Filters | None, *tracks: CataloguedTrack, person: Person = NOBODY, seeds: frozenset[str] = frozenset()
) -> dict[str, str]:
    rules = forbidden(RecommendationRequest(request_id="r", filters=filters), person, seeds, now_ms=NOW)
    kept = {one.track.track_id for one in allowed(merged(*tracks), rules)}
    reasons = {one.track_id: rules.reason(one) for one in tracks}
    assert kept == {track_id for track_id, reason in reasons.items() if reason is None}
    return {track_id: reason for track_id, reason in reasons.items() if reason}


def test_heard_disliked_blocked_excluded_and_seeds_never_come() -> None:
    person = Person(heard={"heard": 1}, dislikes=frozenset({"bad"}), blocked_artists=frozenset({"enemy"}))
    tracks = [track("heard"), track("bad"), track("foe", "enemy"), track("seed"), track("out"), track("fine")]
    gone = removed_by(Filters(exclude_track_ids=("out",)), *tracks, person=person, seeds=frozenset({"seed"}))
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
