"""Whatever comes on a topic is applied or set aside: no agent stops, nothing is applied by half, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kafka import KafkaProducer

from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.state.connection import connect
from streams.state.persons import PersonStore
from tests.integration.installation import NOW_MS, Installation, eventually, features, track
from tests.integration.responder import stored
from topics.codec import decode, require_key
from topics.errors import RecordRefused
from topics.records import ArtistRef, Seed, Track
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    LISTENING_EVENTS,
    REPLIES,
    REQUESTS,
    TopicSpec,
    full_name,
)

SPECS = (CATALOG_TRACKS, CATALOG_ARTISTS, CATALOG_PLAYLISTS, LISTENING_EVENTS, REQUESTS)

GOOD: dict[str, dict[str, Any]] = {
    "catalog.tracks": {"track_id": "ID", "title": "x", "artists": []},
    "catalog.artists": {"artist_id": "ID", "genres": ["g"]},
    "catalog.playlists": {"playlist_id": "ID", "track_ids": ["t"]},
    "listening.events": {"event_id": "e", "user_id": "ID", "track_id": "t", "kind": "play", "occurred_at_ms": 1},
    "recommendation.requests": {"request_id": "ID"},
}
NOT_JSON = [b"", b"{", b"nul", b"\xff\xfe", b'{"a": NaN}', b"\xef\xbb\xbf{}", b'{"unknown": ' + b"[" * 50_000, b"{} {}"]
WRONG = [b"{}", b"[]", b"null", b'"text"', b"7", b"x" * 1_000_000, json.dumps({"pad": "x" * 1_000_000}).encode()]


def spoilt(spec: TopicSpec) -> list[bytes]:
    """Records that are JSON of the right kind but for one thing."""
    good = GOOD[spec.name]
    name = next(iter(good))
    spoil: list[dict[str, Any]] = [
        {name: None},
        {name: 7},
        {name: ""},
        {name: "x" * 10_000},
        {name: "\ud800"},
        {"features": {"energy": 1.5}},
        {"features": {"tempo": -1}},
        {"features": {"key": "C"}},
        {"popularity": 101},
        {"updated_at_ms": -1},
        {"updated_at_ms": 10**30},
        {"artists": {}},
        {"track_ids": "t"},
        {"genres": [1]},
        {"kind": "hum"},
        {"occurred_at_ms": -5},
        {"occurred_at_ms": 1.5},
        {"played_ms": "long"},
        {"limit": 0},
        {"limit": 501},
        {"seeds": [{}]},
        {"seeds": [{"track_id": "a", "artist_id": "b"}]},
        {"after": {"x": 1}},
        {"filters": {"features": {"loud": [0, 1]}}},
        {"breadth": 1.1},
    ]
    return [json.dumps({**good, **one}).encode() for one in spoil]


@pytest.fixture(scope="module")
def here(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(stack, f"bad{time.monotonic_ns()}", tmp_path_factory.mktemp("bad"))
    with installation.client, installation.worker() as worker:
        installation.client.publish(CATALOG_TRACKS, track("known", "a"))
        yield installation
        assert worker.poll() is None, "the worker stopped"


def send(here: Installation, spec: TopicSpec, key: bytes | None, value: bytes | None) -> tuple[int, int]:
    sent = here.client.post_bytes(spec, key, value).result(20)
    return sent.partition, sent.offset


def accounted(
    here: Installation, spec: TopicSpec, sent: dict[tuple[int, int], tuple[bytes | None, bytes | None]]
) -> int:
    """How many of `sent` are dead letters, each once and byte for byte; all are acknowledged."""
    here.settled(spec)
    letters = here.dead(spec)
    places = [place_of(letter) for letter in letters]
    assert len(places) == len(set(places))
    mine = {place: letter for place, letter in zip(places, letters, strict=True) if place in sent}
    for place, letter in mine.items():
        assert (letter.key, letter.value) == sent[place]
    return len(mine)


def place_of(letter: Any) -> tuple[int, int]:
    headers = dict(letter.headers)
    return int(headers["dead_partition"]), int(headers["dead_offset"])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_what_is_no_record_is_set_aside_byte_for_byte(here: Installation, spec: TopicSpec) -> None:
    sent = {send(here, spec, b"key", value): (b"key", value) for value in NOT_JSON + WRONG}
    assert accounted(here, spec, sent) == len(sent)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_record_is_applied_or_set_aside_and_the_rest_goes_on(here: Installation, spec: TopicSpec) -> None:
    sent, refused = {}, 0
    for value in spoilt(spec):
        sent[send(here, spec, b"ID", value)] = (b"ID", value)
        try:
            record = decode(value, spec.record_type)
            refused += spec is not REQUESTS and getattr(record, spec.key) != "ID"
        except RecordRefused:
            refused += 1
    assert refused >= 5
    assert accounted(here, spec, sent) == refused


@pytest.mark.parametrize("spec", SPECS[:4], ids=lambda spec: spec.name)
def test_key_that_is_not_the_id_is_refused(here: Installation, spec: TopicSpec) -> None:
    value = json.dumps(GOOD[spec.name]).encode()
    keys = [b"other", b"\xff", b"id"] + ([None, b""] if spec.cleanup == "delete" else [b""])
    sent = {send(here, spec, key, value): (key, value) for key in keys}
    assert accounted(here, spec, sent) == len(keys)


def test_withdrawal_of_what_nobody_knows_is_no_error(here: Installation) -> None:
    for spec in SPECS[:3]:
        send(here, spec, "nie gehört 🎵".encode(), None)
        assert accounted(here, spec, {send(here, spec, b"\xff\xfe", None): (b"\xff\xfe", None)}) == 1


def test_duplicate_event_ids_count_once(here: Installation) -> None:
    for _ in range(3):
        here.listen("twice", "play", "known", event_id="same")
    here.listen("twice", "play", "known", event_id="another")
    here.ask("twice")
    assert report(here, "twice")["events_counted"] == 2


@pytest.mark.parametrize("user_id", ["Ω{user}:1", "晴天", "a\x00b", "}{", "🎵" * 60, " "])
def test_ids_of_any_alphabet_are_told_apart(here: Installation, user_id: str) -> None:
    here.listen(user_id, "play", "known")
    here.listen(user_id + "x", "skip", "known")
    here.ask(user_id)
    found = report(here, user_id)
    assert [(one["track_id"], one["plays"], one["skips"]) for one in found["heard"]] == [("known", 1, 0)]


def test_unreadable_request_is_told_what_was_expected(here: Installation) -> None:
    reply = here.ask(limit=3, seeds=(Seed(track_id="known"),))
    assert reply.status in ("ok", "partial")
    letters_before = len(here.dead(REQUESTS))
    send(here, REQUESTS, b"k", b'{"request_id": "readable", "limit": "many"}')
    here.settled(REQUESTS)
    assert len(here.dead(REQUESTS)) == letters_before + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fuzzed = st.binary(max_size=200) | st.builds(
    lambda base, noise: json.dumps({**base, **noise}).encode("utf-8", "surrogatepass"),
    st.sampled_from(list(GOOD.values())),
    st.dictionaries(
        st.sampled_from(sorted({name for good in GOOD.values() for name in good} | {"features", "filters", "session"})),
        json_values,
        max_size=3,
    ),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(SPECS), st.binary(max_size=10) | st.just(b"ID"), fuzzed), min_size=5, max_size=25
    )
)
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_noise_is_accounted_for(here: Installation, noise: list[tuple[TopicSpec, bytes, bytes]]) -> None:
    sent: dict[str, dict[tuple[int, int], Any]] = {spec.name: {} for spec in SPECS}
    bad = dict.fromkeys(sent, 0)
    for spec, key, value in noise:
        try:
            record = decode(value, spec.record_type)
            if spec is not REQUESTS:
                require_key(key, getattr(record, spec.key))
        except RecordRefused:
            bad[spec.name] += 1
        sent[spec.name][send(here, spec, key, value)] = (key, value)
    for spec in {spec for spec, _, _ in noise}:
        assert accounted(here, spec, sent[spec.name]) == bad[spec.name]


def test_record_that_came_compressed_is_set_aside_by_its_beginning(here: Installation) -> None:
    packed = connection_of(here.settings).open(KafkaProducer, compression_type="gzip", max_request_size=30_000_000)
    for spec in SPECS:
        sent = packed.send(full_name(spec, here.settings.topic_prefix), b"x" * 20_000_000, b"large").get(30)
        here.settled(spec)
        (letter,) = [one for one in here.dead(spec) if place_of(one) == (sent.partition, sent.offset)]
        assert (letter.key, letter.value) == (b"large", b"x" * 1_048_576)
        assert dict(letter.headers)["dead_cut_from"] == b"20000005"
        assert dict(letter.headers)["dead_reason"] == b"too_large"
    packed.close()


def test_headers_beyond_what_anybody_needs_are_refused_and_one_less_is_not(here: Installation) -> None:
    sent, let_in = {}, b'{"event_id": "h", "user_id": "ID", "track_id": "t", "kind": "play", "occurred_at_ms": 1}'
    for headers in ([("h", b"")] * 64, [("h", b"x" * 32_767)], [("h", b"")] * 65, [("h", b"x" * 32_768)]):
        at = here.client.post_bytes(LISTENING_EVENTS, b"ID", let_in, headers).result(20)
        sent[(at.partition, at.offset)] = (b"ID", let_in)
    assert accounted(here, LISTENING_EVENTS, sent) == 2


def answers_on_default_topic(here: Installation, requests: list[tuple[bytes, list[tuple[str, bytes]]]]) -> list[Any]:
    """What a reader of the replies sees of requests that nobody else sends."""
    topic = full_name(REPLIES, here.settings.topic_prefix)
    before = len(stored(connection_of(here.settings), topic))
    for value, headers in requests:
        here.client.post_bytes(REQUESTS, b"k", value, headers).result(20)
    here.settled(REQUESTS)
    eventually(lambda: len(stored(connection_of(here.settings), topic)) >= before + len(requests))
    return stored(connection_of(here.settings), topic)


def test_request_whose_id_or_headers_are_huge_is_refused_in_a_small_answer(here: Installation) -> None:
    huge = b"i" * 900_000
    found = answers_on_default_topic(
        here,
        [
            (b'{"request_id": "' + huge + b'"}', []),
            (b'{"request_id": "many", "limit": 1}', [("kafka_correlationId", huge)]),
            (b'{"request_id": "far", "limit": 1}', [("kafka_replyTopic", huge)]),
            (b'{"request_id": "deep", "x": ' + b"[" * 900_000, []),
        ],
    )
    refused = [json.loads(one.value) for one in found if b"invalid_request" in one.value]
    assert {one["request_id"] for one in refused} >= {None, "many", "far"}
    assert all(len(one.value) < 3_000 for one in found if b"invalid_request" in one.value)


def test_answer_that_is_larger_than_a_record_asks_for_fewer_tracks(here: Installation) -> None:
    artists = tuple(ArtistRef(artist_id=f"long-{n}", name="é" * 2_000) for n in range(10))
    tracks = [
        Track(track_id=f"long{n}", title=f"{n} " + "é" * 1_990, artists=artists[n % 10 :] + artists[: n % 10])
        for n in range(60)
    ]
    here.client.publish_many(CATALOG_TRACKS, tracks)
    here.settled(CATALOG_TRACKS)
    seeds = (Seed(artist_id="long-0"),)
    reply = here.ask(limit=60, max_per_artist=500, seeds=seeds)
    assert (reply.status, reply.error and reply.error.code, reply.items) == ("error", "internal", ())
    assert "ask for fewer tracks" in reply.error.message
    assert len(here.ask(limit=5, max_per_artist=500, seeds=seeds).items) == 5
    for one in tracks:
        here.client.withdraw(CATALOG_TRACKS, one.track_id)
    here.settled(CATALOG_TRACKS)


def test_after_all_that_the_main_job_still_runs(here: Installation) -> None:
    name = f"after-{uuid.uuid4().hex[:6]}"
    here.client.publish(CATALOG_TRACKS, track(name, "a", features=features(), updated_at_ms=NOW_MS))
    here.settled(CATALOG_TRACKS)
    here.listen("survivor", "play", "known")
    assert name in [item.track_id for item in here.ask("survivor", limit=50).items]


def report(here: Installation, user_id: str) -> dict[str, Any]:
    """What is held about a person."""

    async def read() -> dict[str, Any]:
        redis = connect(here.settings)
        try:
            return await PersonStore(redis, here.settings).person_report(user_id)
        finally:
            await redis.aclose()

    return asyncio.run(read())
