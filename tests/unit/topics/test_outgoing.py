"""What never leaves, because its reader would refuse it or read something else."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.topics.strategies import records
from topics.codec import decode, encode
from topics.errors import RecordRefused
from topics.outgoing import checked_bytes
from topics.records import Features, Listen, RecommendationRequest, Track
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, REQUESTS


def track(**fields: object) -> Track:
    return Track(track_id="t", title="x", artists=(), **fields)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "place",
    [
        lambda number: track(features=Features(energy=number)),
        lambda number: track(popularity=number),
        lambda number: track(embeddings={"audio": (0.1, number)}),
    ],
    ids=["feature", "popularity", "vector"],
)
def test_number_that_is_not_finite_is_refused_rather_than_sent_as_unknown(number: float, place: object) -> None:
    with pytest.raises(RecordRefused) as caught:
        checked_bytes(CATALOG_TRACKS, place(number))
    assert caught.value.reason == "invalid"


@pytest.mark.parametrize(
    "record",
    [
        RecommendationRequest(request_id="r", limit=501),
        RecommendationRequest(request_id=""),
        RecommendationRequest(request_id="r", surface="shop"),
        Track(track_id="t", title="x", artists=()),
    ],
    ids=["too many", "no id", "no such surface", "another type"],
)
def test_record_that_its_reader_would_refuse_is_refused_here(record: object) -> None:
    with pytest.raises(RecordRefused) as caught:
        checked_bytes(REQUESTS, record)
    assert caught.value.reason == "invalid"


def test_record_that_is_too_large_is_refused() -> None:
    many = track(embeddings={f"v{number}": tuple([0.123456789012345] * 4096) for number in range(16)})
    with pytest.raises(RecordRefused) as caught:
        checked_bytes(CATALOG_TRACKS, many)
    assert caught.value.reason == "too_large"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records(Listen))
def test_good_record_leaves_as_it_is(listen: Listen) -> None:
    assert checked_bytes(LISTENING_EVENTS, listen) == encode(listen)


def test_list_for_a_tuple_is_the_caller_s_convenience() -> None:
    sent = checked_bytes(REQUESTS, RecommendationRequest(request_id="r", seeds=[], session=[]))
    assert decode(sent, RecommendationRequest).seeds == ()
