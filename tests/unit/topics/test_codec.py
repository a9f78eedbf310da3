"""Bytes to records and back, and what is refused on the way."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.topics.strategies import records
from topics.codec import MAX_RECORD_BYTES, decode, encode, require_headers, require_id, require_key
from topics.errors import RecordRefused
from topics.records import (
    Artist,
    Listen,
    Playlist,
    RecommendationReply,
    RecommendationRequest,
    Record,
    Served,
    Track,
)

TYPES = (Track, Artist, Playlist, Listen, RecommendationRequest, RecommendationReply, Served)
PLAY = {"event_id": "e", "user_id": "u", "track_id": "t", "kind": "play", "occurred_at_ms": 1}
TRACK = {"track_id": "t", "title": "x", "artists": []}


def play(**fields: object) -> bytes:
    return json.dumps(PLAY | fields).encode()


def play_with(text: bytes) -> bytes:
    """The play with one more member, written as it is."""
    return json.dumps(PLAY).encode()[:-1] + b", " + text + b"}"


def track(**fields: object) -> bytes:
    return json.dumps(TRACK | fields).encode()


def refusal(value: bytes | None, record_type: type[Record] = Listen) -> str:
    with pytest.raises(RecordRefused) as caught:
        decode(value, record_type)
    return caught.value.reason


@pytest.mark.parametrize("record_type", TYPES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_record_survives_the_bytes_and_the_bytes_survive_the_record(
    record_type: type[Record], data: st.DataObject
) -> None:
    record = data.draw(records(record_type))
    written = encode(record)
    assert decode(written, record_type) == record
    assert encode(decode(written, record_type)) == written
    # JSON as everybody else reads it, not only msgspec.
    assert all(math.isfinite(one) for one in numbers_in(json.loads(written.decode("utf-8"))))


def numbers_in(value: object) -> list[float]:
    if isinstance(value, dict):
        return [one for inner in value.values() for one in numbers_in(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in numbers_in(inner)]
    return [value] if isinstance(value, int | float) else []


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_bytes_that_nobody_meant_are_refused_and_never_raise_anything_else(value: bytes) -> None:
    assert refusal(value) in {"undecodable", "invalid"}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(play()) - 1), st.integers(0, 255))
def test_record_with_one_byte_changed_is_a_record_or_refused(at: int, byte: int) -> None:
    changed = bytearray(play())
    changed[at] = byte
    with suppress(RecordRefused):
        record = decode(bytes(changed), Listen)
        assert decode(encode(record), Listen) == record


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "empty": b"",
        "text": b"hello",
        "NaN": play_with(b'"played_ms": NaN'),
        "Infinity": play_with(b'"played_ms": Infinity'),
        "minus Infinity, in a field that nobody reads": play_with(b'"x": -Infinity'),
        "lone surrogate": play_with(rb'"session_id": "\ud800"'),
        "lone surrogate in a field that nobody reads": play_with(rb'"x": "\ud800"'),
        "surrogate as bytes": play_with(b'"session_id": "\xed\xa0\x80"'),
        "not UTF-8": play_with(b'"session_id": "\xff"'),
        "UTF-16": play().decode().encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + play(),
        "line break within a string": play_with(b'"session_id": "a\nb"'),
        "two objects": play() + play(),
        "something after it": play() + b" x",
        "cut off": play()[:-1],
        "nested a hundred thousand deep": play_with(b'"x": ' + b"[" * 100_000 + b"]" * 100_000),
        "nested and cut off": b'{"x": ' + b"[" * 100_000,
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_json_in_utf8_is_undecodable(name: str, value: bytes) -> None:
    assert refusal(value) == "undecodable"


@pytest.mark.parametrize(
    ("name", "value", "record_type"),
    [
        ("null", b"null", Listen),
        ("list", b"[]", Listen),
        ("nothing that is required", b"{}", Listen),
        ("text for a number", play(played_ms="5"), Listen),
        ("truth for a number", play(played_ms=True), Listen),
        ("fraction of a millisecond", play(played_ms=5.5), Listen),
        ("time before 1970", play(occurred_at_ms=-1), Listen),
        ("time beyond the year 9999", play(occurred_at_ms=253_402_300_800_000), Listen),
        ("number beyond 64 bits", play(occurred_at_ms=10**40), Listen),
        ("empty id", play(user_id=""), Listen),
        ("id of 257 characters", play(user_id="u" * 257), Listen),
        ("kind that is none", play(kind="danced"), Listen),
        ("artist's kind without an artist", play(kind="block_artist"), Listen),
        ("local hour 24", play(context={"local_hour": 24}), Listen),
        ("number beyond a double", track().replace(b'"x"', b'"x", "popularity": 1e999'), Track),
        ("energy above 1", track(features={"energy": 1.0001}), Track),
        ("tempo above 300", track(features={"tempo": 300.5}), Track),
        ("loudness above 10", track(features={"loudness": 10.5}), Track),
        ("key 12", track(features={"key": 12}), Track),
        ("key -2", track(features={"key": -2}), Track),
        ("popularity 101", track(popularity=101), Track),
        ("month 13", track(album={"release_date": "2003-13"}), Track),
        ("date with a time", track(album={"release_date": "2003-09-23T00:00:00Z"}), Track),
        ("date and a line break", track(album={"release_date": "2003\n"}), Track),
        ("artists missing", b'{"track_id": "t", "title": "x"}', Track),
        ("limit 0", b'{"request_id": "r", "limit": 0}', RecommendationRequest),
        ("limit 501", b'{"request_id": "r", "limit": 501}', RecommendationRequest),
        ("surface that is none", b'{"request_id": "r", "surface": "shop"}', RecommendationRequest),
        (
            "seed of two things",
            b'{"request_id": "r", "seeds": [{"track_id": "t", "query": "q"}]}',
            RecommendationRequest,
        ),
        ("seed of nothing", b'{"request_id": "r", "seeds": [{}]}', RecommendationRequest),
        ("after of no partition", b'{"request_id": "r", "after": {"-1": 1}}', RecommendationRequest),
        (
            "filter upside down",
            b'{"request_id": "r", "filters": {"features": {"energy": [1, 0]}}}',
            RecommendationRequest,
        ),
        ("filter of no feature", b'{"request_id": "r", "filters": {"features": {"x": [0, 1]}}}', RecommendationRequest),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_json_that_breaks_the_contract_is_invalid(name: str, value: bytes, record_type: type[Record]) -> None:
    assert refusal(value, record_type) == "invalid"


def test_null_value_is_told_apart() -> None:
    assert refusal(None) == "null_value"


def test_mebibyte_is_the_most() -> None:
    padding = MAX_RECORD_BYTES - len(play_with(b'"x": ""'))
    assert MAX_RECORD_BYTES == 1_048_576
    assert decode(play_with(b'"x": "' + b"a" * padding + b'"'), Listen).event_id == "e"
    assert refusal(play_with(b'"x": "' + b"a" * (padding + 1) + b'"')) == "too_large"


def test_producer_may_run_ahead_of_its_reader() -> None:
    ahead = play_with(b'"mood": {"deep": [[[["x"]]]]}, "big": ' + b"9" * 400 + b', "far": 1e999')
    assert decode(ahead, Listen) == decode(play(), Listen)


def test_last_of_two_members_of_one_name_counts() -> None:
    assert decode(play_with(b'"played_ms": 1, "played_ms": 2'), Listen).played_ms == 2


def test_optional_field_may_be_null_or_missing() -> None:
    assert decode(play(played_ms=None, context=None), Listen) == decode(play(), Listen)


def test_name_in_any_alphabet_and_with_any_sign_comes_back() -> None:
    title = 'Пора 😀 \u0000 \u2028 "quoted" \\ \U0010ffff'
    assert decode(track(title=title), Track).title == title
    assert decode(encode(decode(track(title=title), Track)), Track).title == title


def test_record_with_a_lone_surrogate_cannot_be_written() -> None:
    with pytest.raises(RecordRefused, match="valid Unicode"):
        encode(Track(track_id="t", title="\ud800", artists=()))


@pytest.mark.parametrize("key", [None, b"", b"U", b"u ", b"\xff", b"v" * 1_000])
def test_key_that_is_not_the_id_is_refused(key: bytes | None) -> None:
    with pytest.raises(RecordRefused, match="expected key 'u', got") as caught:
        require_key(key, "u")
    assert caught.value.reason == "wrong_key"
    assert len(str(caught.value)) < 200


def test_key_is_the_id_in_utf8() -> None:
    require_key("ü".encode(), "ü")


def test_headers_are_bounded_by_their_number_and_their_bytes() -> None:
    require_headers([("h", b"")] * 64)
    require_headers([("né", b"x" * (32_768 - 3))])
    require_headers([("n" * 32_768, None)])
    for refused in ([("h", b"")] * 65, [("né", b"x" * (32_768 - 2))], [("n" * 32_769, None)]):
        with pytest.raises(RecordRefused, match=r"expected at most (64|32768)") as caught:
            require_headers(refused)
        assert caught.value.reason == "too_large"


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"x" * 257, b"x" * 1_000_000])
def test_withdrawal_without_an_id_is_refused(key: bytes | None) -> None:
    with pytest.raises(RecordRefused, match="expected") as caught:
        require_id(key)
    assert caught.value.reason == "wrong_key"
    assert len(str(caught.value)) < 1_000


def test_withdrawal_by_the_longest_id_is_let_in() -> None:
    require_id("é".encode() * 256)


LIMITS: list[tuple[type[Record], dict[str, object], str, int, object]] = [
    (Track, TRACK, "artists", 200, {}),
    (Track, TRACK, "genres", 200, "g"),
    (Track, TRACK, "markets", 400, "SE"),
    (Artist, {"artist_id": "a"}, "genres", 200, "g"),
    (Artist, {"artist_id": "a"}, "related", 500, "a"),
    (Playlist, {"playlist_id": "p"}, "track_ids", 20_000, "t"),
    (RecommendationRequest, {"request_id": "r"}, "seeds", 100, {"track_id": "t"}),
    (RecommendationRequest, {"request_id": "r"}, "session", 200, PLAY),
]


@pytest.mark.parametrize(
    ("record_type", "good", "name", "most", "item"), LIMITS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_list_may_be_as_long_as_its_limit_and_no_longer(
    record_type: type[Record], good: dict[str, object], name: str, most: int, item: object
) -> None:
    assert len(getattr(decode(json.dumps({**good, name: [item] * most}).encode(), record_type), name)) == most
    assert refusal(json.dumps({**good, name: [item] * (most + 1)}).encode(), record_type) == "invalid"


TEXTS: list[tuple[type[Record], dict[str, object], str, int]] = [
    (Track, TRACK, "track_id", 256),
    (Track, TRACK, "title", 2_000),
    (Track, TRACK, "isrc", 64),
    (Listen, PLAY, "user_id", 256),
    (Listen, PLAY, "session_id", 256),
    (Listen, PLAY, "surface", 64),
    (RecommendationRequest, {"request_id": "r"}, "request_id", 256),
]


@pytest.mark.parametrize(
    ("record_type", "good", "name", "most"), TEXTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_text_may_be_as_long_as_its_limit_and_no_longer(
    record_type: type[Record], good: dict[str, object], name: str, most: int
) -> None:
    assert len(getattr(decode(json.dumps({**good, name: "é" * most}).encode(), record_type), name)) == most
    assert refusal(json.dumps({**good, name: "é" * (most + 1)}).encode(), record_type) == "invalid"


def test_request_may_wait_for_so_many_partitions_and_exclude_so_many_tracks() -> None:
    def request(partitions: int, excluded: int) -> bytes:
        fields = {"after": {str(n): 1 for n in range(partitions)}, "filters": {"exclude_track_ids": ["t"] * excluded}}
        return json.dumps({"request_id": "r", **fields}).encode()

    assert decode(request(10_000, 10_000), RecommendationRequest).request_id == "r"
    assert refusal(request(10_001, 0), RecommendationRequest) == "invalid"
    assert refusal(request(0, 10_001), RecommendationRequest) == "invalid"
