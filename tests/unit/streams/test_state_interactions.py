"""What one event says, in numbers worked by hand."""

from typing import Any

import pytest

from streams.state.interactions import anchor_weight, popularity_time_ms, popularity_weight
from topics.records import Listen


def event(kind: Any, played_ms: int | None = None, duration_ms: int | None = None, at_ms: int = 0) -> Listen:
    return Listen(
        event_id="e",
        user_id="u",
        track_id="t",
        artist_id="a",
        kind=kind,
        occurred_at_ms=at_ms,
        played_ms=played_ms,
        duration_ms=duration_ms,
    )


@pytest.mark.parametrize(
    ("kind", "played_ms", "duration_ms", "as_anchor", "as_popularity"),
    [
        ("play", None, None, 1.0, 1.0),
        ("play", None, 200_000, 1.0, 1.0),
        ("play", 100_000, 200_000, 0.5, 0.5),
        ("play", 99_000, 200_000, 0.0, 0.495),
        ("play", 300_000, 200_000, 1.0, 1.0),
        ("play", 20_000, 40_000, 0.5, 0.5),
        # Of unknown length: 210 s stand in, and 30 s are enough to speak for the track.
        ("play", 30_000, None, 1 / 7, 1 / 7),
        ("play", 29_999, 0, 0.0, 29_999 / 210_000),
        ("skip", None, 200_000, -0.5, 0.0),
        ("skip", 29_999, 200_000, -0.5, 0.0),
        ("skip", 30_000, 200_000, 0.0, 0.15),
        ("like", None, None, 2.0, 2.0),
        ("save", None, None, 2.0, 2.0),
        ("add_to_playlist", None, None, 2.0, 2.0),
        ("repeat", None, None, 1.5, 1.5),
        ("unrate", None, None, -2.0, 0.0),
        ("unsave", None, None, -2.0, 0.0),
        ("dislike", None, None, 0.0, 0.0),
        ("block_artist", None, None, 0.0, 0.0),
    ],
)
def test_an_event_weighs_what_the_interaction_weights_say(
    kind: str, played_ms: int | None, duration_ms: int | None, as_anchor: float, as_popularity: float
) -> None:
    one = event(kind, played_ms, duration_ms)
    assert anchor_weight(one) == pytest.approx(as_anchor)
    assert popularity_weight(one) == pytest.approx(as_popularity)


def test_a_clock_that_is_ahead_counts_as_at_most_a_day_ahead() -> None:
    assert popularity_time_ms(event("play", at_ms=253_402_300_799_999), 1_700_000_000_000) == 1_700_086_400_000


def test_a_clock_that_is_behind_is_believed() -> None:
    assert popularity_time_ms(event("play", at_ms=5), 1_700_000_000_000) == 5
