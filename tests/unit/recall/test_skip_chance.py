"""What a session says of the next track, and how that moves candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.skip_weights import SkipWeights
from recall.index.protocol import NO_FILTER
from recall.merge import Merged
from recall.policy import LEARNED, UNLEARNED, Policy, reorder
from recall.query import RecallQuery
from recall.ranking_features import COLUMN, SIZE, SKIP_SIZE, Scene, at_positions, skip_rows
from recall.skip_chance import CHANCE, LAST, LATELY, hearings_of, said_by
from tests.unit.recall.tracks import track
from topics.records import Listen

MINUTE = 60_000
SCENE = Scene(RecallQuery((), (), (), 0.5, NO_FILTER, False, 0), {}, {}, frozenset(), None)


def heard(kind: str, minute: int, played_s: int | None = None, track_id: str = "t") -> Listen:
    return Listen(
        event_id=f"{kind}{minute}",
        user_id="u",
        kind=kind,
        track_id=track_id,
        occurred_at_ms=minute * MINUTE,
        played_ms=None if played_s is None else played_s * 1000,
        duration_ms=200_000,
    )


def test_only_what_was_heard_since_the_last_silence_counts() -> None:
    session = [heard("skip", 0, 5), heard("play", 60), heard("like", 61), heard("skip", 62, 40), heard("skip", 63, 3)]
    found = hearings_of(session)
    assert [(one.skipped, one.at_once, one.finished) for one in found] == [
        (False, False, True),
        (True, False, False),
        (True, True, False),
    ]
    # Left after its middle, a track was not skipped.
    assert [one.skipped for one in hearings_of([heard("skip", 0, 100), heard("skip", 1, 99)])] == [False, True]


def test_what_a_session_says_by_hand() -> None:
    assert said_by([]) == said_by([heard("like", 1)]) == {}
    # A skip, then a play: 0.8 and 1 of weight, so 0.8 / 1.8 of them are skips.
    found = said_by([heard("skip", 1, 5), heard("play", 2)])
    assert found == {LAST: -1.0, LATELY: pytest.approx(2 * 0.8 / 1.8 - 1)}
    assert said_by([heard("play", 1), heard("skip", 2, 5)])[LATELY] == pytest.approx(2 * 1 / 1.8 - 1)


def test_rows_hold_columns_and_some_times_the_skips_of_late() -> None:
    features = np.zeros((2, SIZE))
    features[:, COLUMN["popularity"]] = [0.5, 0.25]
    features[:, COLUMN[LATELY]] = -0.4
    rows = skip_rows(features)
    assert rows.shape == (2, SKIP_SIZE)
    assert rows[:, -1].tolist() == pytest.approx([-0.2, -0.1])
    assert rows.sum(axis=1) == pytest.approx([0.5 - 0.4 + 1 - 0.2, 0.25 - 0.4 + 1 - 0.1])  # 1: as at the head
    placed = skip_rows(np.array(at_positions(features[:1], [2])))
    assert placed.sum() == pytest.approx(rows[0].sum() - 0.5)  # 1 / log2(4)


def learnt(weight: float) -> Policy:
    """Popular tracks are skipped the more, the more was skipped of late; and skips are disliked."""
    weights = np.zeros(SKIP_SIZE)
    weights[-1] = weight
    mean = UNLEARNED.posterior.mean.copy()
    mean[COLUMN[CHANCE]] = -1.0
    return Policy("live", replace(UNLEARNED.posterior, mean=mean), skips=SkipWeights(weights, 0.0, 500))


def test_the_same_track_sinks_after_skips_and_rises_after_plays() -> None:
    given = [
        Merged(track(name, name, popularity=popularity), {}, {"x": 0.5}, {})
        for name, popularity in (("a", 0.0), ("b", 100.0))
    ]
    for kind, first, sign in (("skip", "a", 1), ("play", "b", -1)):
        scene = replace(SCENE, session=[heard(kind, n, 5 if kind == "skip" else None) for n in range(3)])
        ordered = reorder(given, scene, learnt(4.0))
        chances = {one.track.track_id: ordered.of([one.track])[0, COLUMN[CHANCE]] for one in ordered.ranked}
        assert chances == pytest.approx({"a": 0.0, "b": 1 / (1 + np.exp(-4.0 * sign)) - 0.5})
        assert ordered.ranked[0].track.track_id == first
        moved = next(one for one in ordered.ranked if one.track.track_id == "b")
        assert moved.contributions[LEARNED] == pytest.approx(-chances["b"])
    assert reorder([], SCENE, learnt(4.0)).ranked.tracks == []


def test_before_anything_is_learnt_no_skip_is_expected() -> None:
    scene = replace(SCENE, session=[heard("skip", 1, 5)])
    ordered = reorder([Merged(track("a"), {}, {"x": 0.5}, {})], scene, UNLEARNED)
    assert ordered.features[0, COLUMN[CHANCE]] == 0.0
    assert ordered.features[0, COLUMN[LAST]] == 1.0
