from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recall.channels.protocol import Candidate
from recall.merge import WEIGHTS, fuse
from tests.unit.recall.tracks import track


def found(*ids: str) -> list[Candidate]:
    return [Candidate(track(track_id), ("seed",), f"because of {track_id}") for track_id in ids]


def test_score_is_the_weighted_sum_of_reciprocal_ranks_worked_by_hand() -> None:
    merged = list(fuse({"one": found("x", "y"), "two": found("y")}, {"one": 1.0, "two": 3.0}))
    # scale 60 / 4 = 15: y = 15 * (1 / 61 + 3 / 60), x = 15 * 1 / 60
    assert [(one.track.track_id, round(one.score, 6)) for one in merged] == [("y", 0.995902), ("x", 0.25)]
    assert merged[0].ranks == {"one": 1, "two": 0}


def test_track_that_leads_every_channel_scores_one() -> None:
    assert next(fuse({name: found("x") for name in WEIGHTS})).score == pytest.approx(1.0)


def test_ties_are_ordered_by_track_id() -> None:
    merged = fuse({"one": found("b"), "two": found("a")}, {"one": 1.0, "two": 1.0})
    assert [one.track.track_id for one in merged] == ["a", "b"]


def test_reasons_and_starts_of_every_channel_are_kept() -> None:
    merged = next(fuse({"one": found("x"), "two": [Candidate(track("x"), ("other",), "second")]}, {"one": 1, "two": 1}))
    assert merged.because == ("seed", "other")
    assert merged.reasons == {"one": "because of x", "two": "second"}


lists = st.dictionaries(
    st.sampled_from(["acoustic", "same_artist", "fresh", "genre_popular"]),
    st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8),
)


@given(lists)
def test_order_of_channels_is_irrelevant_and_no_track_comes_twice(ids: dict[str, list[str]]) -> None:
    forward = list(fuse({name: found(*ids[name]) for name in ids}))
    backward = list(fuse({name: found(*ids[name]) for name in reversed(list(ids))}))
    assert [one.track.track_id for one in forward] == [one.track.track_id for one in backward]
    assert sorted(one.track.track_id for one in forward) == sorted({i for some in ids.values() for i in some})


@given(lists)
def test_contributions_sum_to_the_score_and_stay_within_one(ids: dict[str, list[str]]) -> None:
    for one in fuse({name: found(*ids[name]) for name in ids}):
        assert one.score == pytest.approx(sum(one.contributions.values()))
        assert 0 < one.score <= 1 + 1e-9
