"""What a shown track earns, by hand from the interaction weights."""

from __future__ import annotations

from itertools import permutations

import pytest

from models.rewards import reaction_of, reward
from topics.records import Listen


def event(kind: str, played_ms: int | None = None, duration_ms: int | None = 200_000) -> Listen:
    about = {"artist_id": "a"} if kind.endswith("artist") else {"track_id": "t"}
    return Listen(
        event_id="e", user_id="u", kind=kind, occurred_at_ms=0, played_ms=played_ms, duration_ms=duration_ms, **about
    )


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], 0.0),
        ([event("play")], 1.0),
        ([event("play", 50_000)], 0.25),
        ([event("play", 500_000)], 1.0),
        ([event("play", 105_000, None)], 0.5),  # a track of unknown length counts as one of 210 s
        ([event("skip")], -0.5),
        ([event("skip", 20_000)], 0.1 - 0.5),
        ([event("skip", 100_000)], 0.5),
        ([event("skip"), event("play")], 1.0),  # skipped at once, then heard to the end after all
        ([event("play"), event("like")], 3.0),
        ([event("like"), event("save"), event("add_to_playlist")], 2.0),
        ([event("save"), event("unsave")], 0.0),
        ([event("play"), event("repeat")], 2.5),
        ([event("play"), event("save"), event("repeat")], 4.5),
        ([event("skip"), event("dislike")], -2.5),
        ([event("dislike")], -2.0),
    ],
)
def test_an_impression_earns_what_its_listener_did_with_it(events: list[Listen], expected: float) -> None:
    reactions = [one for given in events if (one := reaction_of(given)) is not None]
    for ordered in permutations(reactions):
        assert reward(ordered) == pytest.approx(expected)


def test_what_is_said_of_an_artist_is_no_reaction_to_a_track() -> None:
    assert reaction_of(event("follow_artist")) is None
