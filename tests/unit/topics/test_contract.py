"""The wire contract's own words, copied, against the code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from topics.codec import decode, encode
from topics.errors import UnknownTopic
from topics.outgoing import key_of
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
from topics.specs import ALL, DAY_MS, HOUR_MS, MAX_DEAD_LETTER_BYTES, dead_letters_of, full_name, spec_named

TABLE = """
| `catalog.tracks` | track_id | 4 | compact |
| `catalog.artists` | artist_id | 4 | compact |
| `catalog.playlists` | playlist_id | 4 | compact |
| `listening.events` | user_id | 4 | delete, 30 days |
| `recommendation.requests` | user_id (or request_id when anonymous) | 4 | delete, 1 hour |
| `recommendation.replies` | request_id | 4 | delete, 1 hour |
| `recommendation.served` | user_id | 4 | delete, 90 days |
| `listening.sessions` | user_id | 4 | delete, 30 days |
| `models.updates` | model name | 1 | compact |
| `privacy.requests` | user_id | 4 | delete, 30 days |
| `playlists.weekly` | user_id | 4 | compact |
"""
DEAD = "delete, 30 days"
KEPT_MS = {"30 days": 30 * DAY_MS, "90 days": 90 * DAY_MS, "1 hour": HOUR_MS}

EXAMPLES: list[tuple[type[Record], str]] = [
    (
        Track,
        """{"track_id": "2takcwOaAZWiXQijPHIx7B", "title": "Time Is Running Out",
 "artists": [{"artist_id": "12Chz98pHFMPJEknJQMWvI", "name": "Muse"}],
 "album": {"album_id": "0HcHPBu9aaF1MxOiZmUQTl", "name": "Absolution", "release_date": "2003-09-23"},
 "isrc": "GBAHT0300358", "duration_ms": 236960, "popularity": 74, "explicit": false,
 "markets": ["SE", "GB"], "genres": ["permanent wave"],
 "features": {"danceability": 0.585, "energy": 0.842, "key": 9, "loudness": -5.9, "mode": 0, "speechiness": 0.0556,
              "acousticness": 0.0092, "instrumentalness": 0.0069, "liveness": 0.0846, "valence": 0.428, "tempo": 118.2,
              "time_signature": 4},
 "embeddings": {"audio": [0.1, 0.2]}, "updated_at_ms": 1700000000000}""",
    ),
    (
        Artist,
        """{"artist_id": "12Ch", "name": "Muse", "genres": [], "related": ["a2"], "popularity": 80,
 "updated_at_ms": 1700000000000}""",
    ),
    (
        Playlist,
        """{"playlist_id": "p1", "name": "Runs", "track_ids": ["2tak"], "followers": 3,
 "updated_at_ms": 1700000000000}""",
    ),
    (
        Listen,
        """{"event_id": "0d6e…", "user_id": "u1", "track_id": "2tak…", "kind": "skip", "occurred_at_ms": 1700000000000,
 "played_ms": 4200, "duration_ms": 236960, "session_id": "s9", "request_id": "r7", "surface": "radio",
 "context": {"device": "phone", "activity": "running", "local_hour": 7}}""",
    ),
    (
        RecommendationRequest,
        """{"request_id": "r7", "user_id": "u1", "limit": 30, "surface": "radio",
 "seeds": [{"track_id": "2tak…"}, {"artist_id": "12Ch…"}, {"playlist_id": "p1"},
           {"query": "Time Is Running Out - Muse"}],
 "breadth": 0.5, "exploration": 0.1, "max_per_artist": 3,
 "filters": {"genres_any": [], "genres_none": [], "released_from": "2020-01-01", "released_to": null,
             "explicit": "allow", "market": "SE", "exclude_track_ids": [], "exclude_heard_days": 28,
             "features": {"energy": [0.5, 1.0], "tempo": [100, 140]}},
 "context": {"device": "phone", "activity": "running", "local_hour": 7}, "session": [],
 "after": {"0": 1041}, "deadline_ms": 200, "explain": true, "sent_at_ms": 1700000000000}""",
    ),
    (
        RecommendationReply,
        """{"request_id": "r7", "user_id": "u1", "status": "ok", "error": null,
 "items": [{"position": 0, "track_id": "5Z01…", "title": "…", "artists": [{"artist_id": "…", "name": "…"}],
            "score": 0.83, "channels": {"acoustic": 4, "playlist": 1}, "explored": false, "propensity": null,
            "why": {"text": "Often in playlists with Time Is Running Out; same energy as your session",
                    "seed_track_ids": ["2tak…"], "contributions": {"playlist": 0.31, "session_energy": 0.12}}}],
 "degraded": [], "models": {"embeat_mlp": "…", "track2vec": "…", "bandit": "…"}, "watermark": {"0": 1041},
 "took_ms": 7.4}""",
    ),
    (
        Served,
        """{"request_id": "r7", "user_id": "u1", "surface": "radio", "served_at_ms": 1700000000000,
 "policy_version": "v1", "items": [{"track_id": "t", "position": 0, "explored": false, "propensity": null,
 "features": [0.1], "feature_names_version": "f1"}]}""",
    ),
]
KINDS = (
    "play skip like dislike unrate save unsave add_to_playlist repeat "
    "block_artist unblock_artist follow_artist unfollow_artist"
)


def rows() -> dict[str, list[str]]:
    """Name -> the other cells."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()]
    return {name.strip("`"): rest for name, *rest in cells}


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf under its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        return {path: value}
    found: dict[str, Any] = {path: type(value).__name__}
    for name, one in inner:
        found |= flat(one, f"{path}.{name}")
    return found


@pytest.mark.parametrize(("record_type", "text"), EXAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_example_of_the_contract_is_read_whole(record_type: type[Record], text: str) -> None:
    again = json.loads(encode(decode(text.encode(), record_type)))
    # Nothing that the example says is lost or changed; the record may add its defaults.
    assert flat(json.loads(text)).items() <= flat(again).items()


def test_specs_are_the_contract_s_table() -> None:
    live = [spec for spec in ALL if not spec.name.endswith(".dead")]
    assert [spec.name for spec in live] == list(rows())
    for spec in live:
        key, partitions, clean_up = rows()[spec.name]
        policy, _, kept = clean_up.partition(", ")
        assert (spec.partitions, spec.cleanup, spec.retention_ms) == (int(partitions), policy, KEPT_MS.get(kept))
        assert key.startswith(spec.key)
        assert spec.config["cleanup.policy"] == policy
        assert spec.config.get("retention.ms") == (str(KEPT_MS[kept]) if kept else None)


def test_what_is_applied_has_dead_letters_for_thirty_days_in_one_partition() -> None:
    applied = {
        *("catalog.tracks", "catalog.artists", "catalog.playlists"),
        *("listening.events", "listening.sessions", "playlists.weekly", "recommendation.requests", "privacy.requests"),
    }
    dead = {spec.name: spec for spec in ALL if spec.name.endswith(".dead")}
    assert set(dead) == {f"{name}.dead" for name in applied}
    assert {(spec.partitions, spec.cleanup, spec.retention_ms) for spec in dead.values()} == {
        (1, "delete", 30 * DAY_MS)
    }


def test_dead_letter_topic_takes_the_largest_record_with_its_reason() -> None:
    for spec in ALL:
        if spec.has_dead_letters:
            assert dead_letters_of(spec).max_message_bytes >= spec.max_message_bytes + 10_000
    assert all(spec.max_message_bytes <= MAX_DEAD_LETTER_BYTES for spec in ALL)


def test_every_topic_s_key_is_a_field_of_its_record() -> None:
    for spec in ALL:
        if spec.record_type is not None:
            assert spec.key in spec.record_type.__struct_fields__


@pytest.mark.parametrize("kind", KINDS.split())
def test_kind_of_the_contract_is_read(kind: str) -> None:
    fields = {"event_id": "e", "user_id": "u", "occurred_at_ms": 1, "kind": kind}
    about = {"artist_id": "a"} if kind.endswith("_artist") else {"track_id": "t"}
    assert decode(json.dumps(fields | about).encode(), Listen).kind == kind


def test_anonymous_request_is_keyed_by_itself() -> None:
    requests = spec_named("recommendation.requests")
    assert key_of(requests, RecommendationRequest(request_id="r", user_id="u")) == "u"
    assert key_of(requests, RecommendationRequest(request_id="r")) == "r"
    assert key_of(spec_named("catalog.tracks"), Track(track_id="t", title="", artists=())) == "t"


def test_prefix_names_the_installation() -> None:
    events = spec_named("listening.events")
    assert full_name(events, "") == "listening.events"
    assert full_name(events, "acme") == full_name(events, "acme.") == "acme.listening.events"


def test_unknown_topic_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownTopic, match=r"expected one of catalog\.artists, .* got 'listening\.event'"):
        spec_named("listening.event")
