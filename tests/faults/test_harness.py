"""The harness sees what it looks for: each test breaks one value of a state that is otherwise right."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from models.embeat_mlp import load_checkpoint
from models.track2vec import PLAYLIST, Change
from models.track2vec_state import LearnedState
from streams.state.held import SessionEvent
from tests.faults import account, answers, learned
from tests.faults.account import Difference, lost_and_twice
from tests.faults.broken import DEFECTS, broken_copy
from tests.faults.content import Content, Mix
from tests.faults.expected import Expected, document, genres_of, payload, replay
from tests.faults.found import SESSION, IndexedPoint, State
from tests.faults.sounds import vectors
from tests.faults.watch import Sample
from topics.codec import decode
from topics.errors import RecordRefused
from topics.records import Track
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS

WEIGHTS = Path(__file__).parents[2] / "models" / "weights" / "embeat_mlp_2026.safetensors"
HALF_LIFE_MS = 90 * 86_400_000.0
NOW_MS = 1_790_000_000_000
EMPTY: dict[str, list[Any]] = {
    name: []
    for name in (
        *("listening.events", "catalog.tracks", "catalog.artists", "catalog.playlists"),
        "recommendation.requests",
    )
}


def record(topic: str, offset: int, key: str, value: object, **more: Any) -> Any:
    content = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    plain = {"partition": 0, "timestamp": NOW_MS + offset, "headers": []}
    return SimpleNamespace(**{**plain, "topic": topic, "offset": offset, "key": key.encode(), "value": content, **more})


def event(offset: int, kind: str, track: str, event_id: str | None = None) -> Any:
    value = {"event_id": event_id or f"e{offset}", "user_id": "u", "kind": kind, "occurred_at_ms": NOW_MS}
    return record("listening.events", offset, "u", {**value, "track_id": track})


def log(**topics: Sequence[Any]) -> dict[str, list[Any]]:
    return EMPTY | {name.replace("_", "."): list(records) for name, records in topics.items()}


def state_of(expected: Expected) -> State:
    """What a system holds that made no mistake."""
    persons = expected.listening.persons
    return State(
        persons={user: one.report(user) for user, one in persons.items()},
        anchors={user: one.anchor_list() for user, one in persons.items()},
        popularity=expected.listening.popular(HALF_LIFE_MS, NOW_MS),
        counted_at_ms=NOW_MS,
        half_life_ms=HALF_LIFE_MS,
        through=expected.through,
        artists=expected.artists,
        playlists=expected.playlists,
    )


def index_of(expected: Expected) -> dict[str, IndexedPoint]:
    sounds = vectors({track_id: one.record for track_id, one in expected.tracks.items()}, WEIGHTS)
    found = {}
    for track_id, one in expected.tracks.items():
        genres = genres_of(one.record, expected.artists)
        stored = {**payload(one.record, genres), "added_at_ms": one.came_ms[0]}
        vector = sounds[track_id].tolist() if track_id in sounds else None
        found[track_id] = IndexedPoint([*document(one.record, genres), one.came_ms[0]], stored, vector)
    return found


@pytest.fixture
def listened() -> Expected:
    return replay(log(listening_events=[event(0, "play", "t1"), event(1, "play", "t1"), event(2, "like", "t2")]))


def lost_twice(expected: Expected, state: State) -> tuple[int, int]:
    return lost_and_twice(list(account.listening(expected, state)))


def test_a_state_without_mistakes_has_no_differences(listened: Expected) -> None:
    assert list(account.listening(listened, state_of(listened))) == []


def test_an_event_that_did_not_count_is_lost_and_one_that_counted_again_is_twice(listened: Expected) -> None:
    less = replay(log(listening_events=[event(0, "play", "t1"), event(2, "like", "t2")]))
    more = replay(log(listening_events=[event(n, "play", "t1") for n in range(3)] + [event(3, "like", "t2")]))
    assert lost_twice(listened, state_of(less)) == (1, 0)
    assert lost_twice(listened, state_of(more)) == (0, 1)


def test_popularity_alone_tells_of_a_play_counted_twice(listened: Expected) -> None:
    state = state_of(listened)
    wrong = dataclasses.replace(state, popularity={**state.popularity, "t1": 3 * state.popularity["t1"] / 2})
    assert lost_twice(listened, wrong) == (0, 1)


def test_an_event_sent_twice_counts_once() -> None:
    once, again = (replay(log(listening_events=[event(0, "play", "t"), event(1, "play", "t", i)])) for i in ("x", "e0"))
    assert (once.listening.persons["u"].heard["t"][1], again.listening.persons["u"].heard["t"][1]) == (2, 1)


@pytest.fixture
def catalogued() -> Expected:
    drafts = Content(3).first_catalogue()
    records = [
        record(one.spec.name, at, (one.key or b"").decode(), one.value)
        for at, one in enumerate(drafts)
        if one.key not in (b"t7", b"t8")
    ]
    topics = {name: [one for one in records if one.topic == name] for name in EMPTY}
    withdrawn = record("catalog.tracks", 900, "t9", None)
    return replay({**topics, "catalog.tracks": [*topics["catalog.tracks"], withdrawn]})


def differences(expected: Expected, index: dict[str, IndexedPoint]) -> list[Difference]:
    return list(account.catalogue(expected, state_of(expected), index, WEIGHTS))


def test_an_index_without_mistakes_has_no_differences(catalogued: Expected) -> None:
    assert len(catalogued.tracks) == 397
    assert differences(catalogued, index_of(catalogued)) == []


def test_a_track_that_is_missing_or_still_there_is_told(catalogued: Expected) -> None:
    index = index_of(catalogued)
    index["t9"] = index.pop("t1")
    found = differences(catalogued, index)
    assert sorted(one.name for one in found) == ["t1", "t9"]
    assert lost_and_twice(found) == (2, 0)


def test_a_vector_that_is_a_little_off_is_told(catalogued: Expected) -> None:
    index = index_of(catalogued)
    track_id = next(name for name, point in index.items() if point.vector)
    vector = index[track_id].vector or []
    index[track_id] = dataclasses.replace(index[track_id], vector=[vector[0] + 1e-4, *vector[1:]])
    assert [str(one).split(":")[0] for one in differences(catalogued, index)] == [f"vector of {track_id}"]


def test_a_payload_of_the_version_before_is_told(catalogued: Expected) -> None:
    index = index_of(catalogued)
    index["t2"] = dataclasses.replace(index["t2"], payload={**index["t2"].payload, "popularity": 3.25})
    assert [one.what for one in differences(catalogued, index)] == ["payload popularity of"]


def test_poison_that_is_missing_or_changed_and_letters_of_sound_records_are_told() -> None:
    headers = [("poison", b"cut short")]
    sent = [record("listening.events", n, "u", b"{", headers=headers) for n in range(3)]
    expected = replay(log(listening_events=sent))

    def letter(offset: int, value: bytes = b"{") -> Any:
        dead = [("dead_topic", b"listening.events"), ("dead_partition", b"0"), ("dead_offset", str(offset).encode())]
        return record("listening.events.dead", offset, "u", value, headers=[*headers, *dead])

    whole = account.set_aside(expected, [letter(0), letter(1), letter(2), letter(2)])
    assert sorted(offset for _, _, offset in whole.places) == [0, 1, 2, 2]
    assert whole.differences == ()
    wrong = account.set_aside(expected, [letter(0), letter(1, b"{}"), letter(7)])
    assert sorted(str(one).split(":")[0] for one in wrong.differences) == [
        f"dead letter ('listening.events', 0, {offset})" for offset in (1, 2, 7)
    ]


def judged(reply: dict[str, Any], **topics: Sequence[Any]) -> answers.Judgement:
    asked = {"request_id": "r", "user_id": "u", "limit": 3, "seeds": [{"track_id": "seed"}], "after": {"0": 5}}
    requests = [record("recommendation.requests", 0, "u", {**asked, "sent_at_ms": NOW_MS + 100})]
    whole = {"request_id": "r", "status": "ok", "error": None, "items": [], "watermark": {"0": 9}, **reply}
    replies = [record("recommendation.replies", 200, "r", whole)]
    samples = [Sample((NOW_MS + 50) / 1000, {("catalog.tracks", 0): 2})]
    return answers.judge(log(**topics), requests, replies, samples)


def items(*names: str, artist: str = "a") -> list[dict[str, Any]]:
    return [{"track_id": name, "artists": [{"artist_id": artist, "name": None}]} for name in names]


def test_an_answer_is_wrong_by_each_rule_alone() -> None:
    heard = [
        event(0, "play", "heard"),
        event(1, "dislike", "bad"),
        event(9, "dislike", "later"),
        event(10, "unrate", "later"),
    ]
    assert judged({"items": items("x", "y")}, listening_events=heard).wrong == ()
    assert judged({"items": items("later")}, listening_events=heard).wrong == ()
    for name in ("heard", "bad"):
        assert name in judged({"items": items(name)}, listening_events=heard).wrong[0]
    assert "seed" in judged({"items": items("seed")}).wrong[0]
    assert "different" in judged({"items": items("x", "x")}).wrong[0]
    assert "different" in judged({"items": items("x", "y", "z", "v")}).wrong[0]
    assert "have counted" in judged({"watermark": {"0": 4}}).wrong[0]
    assert judged({"watermark": {"0": 4}, "status": "partial"}).wrong == ()


def test_a_blocked_artist_is_wrong_until_unblocked() -> None:
    def about(offset: int, kind: str) -> Any:
        value = {"event_id": str(offset), "user_id": "u", "kind": kind, "occurred_at_ms": 1, "artist_id": "b"}
        return record("listening.events", offset, "u", value)

    reply = {"items": items("x", artist="b")}
    assert "blocked" in judged(reply, listening_events=[about(0, "block_artist")]).wrong[0]
    lifted = [about(0, "block_artist"), about(12, "unblock_artist")]
    assert judged(reply, listening_events=lifted).wrong == ()


def test_a_withdrawn_track_is_wrong_once_the_withdrawal_is_known_to_be_done() -> None:
    def changed(offset: int, **more: Any) -> Any:
        return record("catalog.tracks", offset, "x", None, **more)

    back = record("catalog.tracks", 2, "x", {"track_id": "x"}, timestamp=NOW_MS + 150)
    reply = {"items": items("x")}
    assert "withdrawn" in judged(reply, catalog_tracks=[changed(1)]).wrong[0]
    assert judged(reply, catalog_tracks=[changed(2)]).wrong == ()
    assert judged(reply, catalog_tracks=[changed(1), back]).wrong == ()


def test_a_request_without_reply_is_told_and_one_with_two_is_counted() -> None:
    asked = {"seeds": None, "sent_at_ms": None}
    requests = [record("recommendation.requests", n, "u", {**asked, "request_id": f"r{n}"}) for n in range(2)]
    reply = {"request_id": "r0", "status": "error", "error": {"code": "internal"}, "items": []}
    replies = [record("recommendation.replies", n, "r0", reply) for n in range(2)]
    found = answers.judge(log(), requests, replies, [])
    assert (found.unanswered, found.again, found.statuses) == (("r1",), 1, {"internal": 1})


def test_vectors_are_those_of_the_shipped_model() -> None:
    records = [json.loads(draft.value or b"") for draft in Content(5).first_catalogue() if draft.spec is CATALOG_TRACKS]
    found = vectors({record["track_id"]: record for record in records}, WEIGHTS)
    model = load_checkpoint(str(WEIGHTS))
    tracks = {record["track_id"]: msgspec.convert(record, Track) for record in records}
    assert found.keys() == {track_id for track_id, track in tracks.items() if model.can_embed(track)}
    assert 300 < len(found) < len(tracks)
    expected = model.embed([tracks[track_id] for track_id in found])
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-5)


def test_what_is_called_poison_is_refused_and_all_else_is_not() -> None:
    content, mix = Content(1), Mix(poison=0.3)
    drafts = [content.event(mix) for _ in range(300)] + [content.change(mix) for _ in range(300)]
    for draft in drafts:
        if draft.value is None or draft.spec not in (LISTENING_EVENTS, CATALOG_TRACKS):
            continue
        try:
            found = decode(draft.value, draft.spec.record_type)
            sound = str(getattr(found, draft.spec.key)).encode() == draft.key
        except RecordRefused:
            sound = False
        assert sound == (draft.poison is None), (draft.poison, draft.value)


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_still_finds_its_place(name: str, tmp_path: Path) -> None:
    assert broken_copy(name, tmp_path) == tmp_path


def playlist(offset: int, key: str, tracks: Sequence[str] | None, stamp: int | None = None) -> Any:
    value = None if tracks is None else {"playlist_id": key, "track_ids": tracks, "updated_at_ms": stamp}
    return record("catalog.playlists", offset, key, value)


def test_learner_that_counts_each_playlist_once_has_no_differences(tmp_path: Path) -> None:
    topic = [
        playlist(0, "p", ["a", "b"], 5),
        playlist(1, "q", ["b", "c"]),
        playlist(2, "p", ["a", "d"], 9),
        playlist(3, "p", ["x"], 7),
        playlist(4, "r", ["b"]),
        playlist(5, "r", None),
    ]
    must = learned.must_be_learned(topic)
    assert must.counts == {"a": 1, "b": 1, "c": 1, "d": 1}

    def learn(name: str, records: Sequence[Any]) -> learned.Learned:
        state = LearnedState.open(tmp_path / name / "grown", None, "grown", 7)
        for one in records:
            told = {"track_ids": None, "updated_at_ms": None} if one.value is None else json.loads(one.value)
            key, stamp = PLAYLIST + one.key.decode(), told["updated_at_ms"] or 0
            state.absorb([Change(one.topic, 0, one.offset, key, told["track_ids"], stamp)])
        state.absorb([Change("listening.sessions", 0, 0, "a session", ["a", "c"], 0)])
        state.close()
        return learned.read_learned(tmp_path / name)

    assert list(learned.differences(must, learn("all", [*topic, topic[1]]))) == []
    found = list(learned.differences(must, learn("less", [topic[0], *topic[2:]])))
    assert lost_and_twice(found) == (3, 0)


def test_what_is_read_of_sessions_has_the_fields_that_are_written() -> None:
    assert SessionEvent.__struct_fields__ == SESSION
