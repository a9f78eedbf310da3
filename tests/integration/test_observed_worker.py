"""What an operator sees of a real worker: its metrics, its health, and its log when Kafka dies and comes back."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.embedded.ports import free_port
from streams.embedded.stack import RunningStack, running_stack
from tests.integration.installation import Installation, eventually, track
from topics.errors import TopicError
from topics.records import Playlist, RecommendationReply, Seed
from topics.specs import CATALOG_PLAYLISTS, CATALOG_TRACKS, LISTENING_EVENTS, full_name

ROLES = "catalogue,listening,cooccurrence,recommendations"
Samples = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Parts that these tests may freeze and kill."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def here(own_stack: RunningStack, prefix: str, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(own_stack, prefix, tmp_path)
    installation.settings = msgspec.structs.replace(
        installation.settings, metrics_port=free_port(), log_format="json", retry_s=60.0
    )
    # Without the role that learns, which reads some topics a second time.
    with installation.client, installation.worker(ROLES):
        yield installation


def get(here: Installation, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{here.settings.metrics_port}{path}", timeout=20) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def metrics(here: Installation) -> Samples:
    """(name, label values in the order of the labels' names) -> value."""
    status, text = get(here, "/metrics")
    assert status == 200
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def log_lines(here: Installation) -> list[dict[str, object]]:
    return [json.loads(line) for line in (here.settings.data_dir / "worker.log").read_text().splitlines()]


def send_raw(here: Installation, value: bytes) -> None:
    here.client.post_bytes(LISTENING_EVENTS, b"u", value, []).result()


def test_what_a_worker_does_is_counted(here: Installation) -> None:
    here.client.publish_many(CATALOG_TRACKS, (track(f"t{n}", f"a{n}") for n in range(7)))
    here.settled(CATALOG_TRACKS)
    for number in range(3):
        here.listen("u", "play", f"t{number}")
    send_raw(here, b'{"event_id": "e-bad", "user_id": "u"}')
    send_raw(here, b"\xff")
    replies = [here.ask("u", limit=2), here.ask("u", limit=2), here.ask(seeds=(Seed(track_id="nowhere"),))]
    assert [reply.status for reply in replies] == ["ok", "ok", "error"]
    partial = here.ask(seeds=(Seed(track_id="t0"), Seed(track_id="nowhere")), limit=2)
    assert partial.status == "partial"
    here.settled(LISTENING_EVENTS)

    found = metrics(here)
    records = {key[1:]: value for key, value in found.items() if key[0] == "throughbeat_records_total" and value}
    assert records == {
        ("applied", "catalog.tracks"): 7,
        ("applied", "listening.events"): 3,
        ("set_aside", "listening.events"): 2,
        ("applied", "recommendation.requests"): 4,
    }
    letters = {key[1:]: value for key, value in found.items() if key[0] == "throughbeat_dead_letters_total"}
    assert letters == {("invalid", "listening.events"): 1, ("undecodable", "listening.events"): 1}
    answers = {key[1]: value for key, value in found.items() if key[0] == "throughbeat_answers_total"}
    assert answers == {"ok": 2, "partial": 1, "unknown_seed": 1}
    assert found["throughbeat_degraded_total", "seed"] == 1
    assert found["throughbeat_answer_seconds_count",] == 4
    stages = {key[1]: value for key, value in found.items() if key[0] == "throughbeat_answer_stage_seconds_count"}
    channels = (
        *("acoustic", "playlist", "same_artist", "similar_artists", "artist_neighbours", "neighbours", "factors"),
        *("fresh", "fresh_nearby", "genre_popular", "rising", "described", "session_neighbours"),
    )
    own = {"after", "turn", "listener", "starts", "rank", "explore", "reply", "served"}
    assert {name for name in stages if not name.startswith("channel:")} == own
    assert stages.keys() >= {f"channel:{name}" for name in channels}
    assert (stages["turn"], stages["listener"], stages["starts"], stages["reply"]) == (4, 4, 4, 4)
    assert all(stages[f"channel:{name}"] >= 3 for name in channels)
    version = replies[0].models["embeat_mlp"]
    assert found["throughbeat_model_info", "embeat_mlp", version] == 1
    eventually(lambda: metrics(here).get(("throughbeat_index_tracks",)) == 7)
    assert metrics(here)["throughbeat_index_tracks_outside_graph",] == 7


def lag_of_events(here: Installation) -> float:
    """Of all partitions together."""
    found = metrics(here).items()
    return sum(value for key, value in found if key[0] == "throughbeat_lag_records" and "listening.events" in key)


def test_lag_is_what_is_not_acknowledged(here: Installation, own_stack: RunningStack) -> None:
    own_stack.redis.freeze()
    try:
        for number in range(5):
            here.listen("one-person", "play", f"t{number}")
        eventually(lambda: lag_of_events(here) == 5)
        eventually(lambda: metrics(here)["throughbeat_retries_total", "listening.events"] >= 1)
    finally:
        own_stack.redis.thaw()
    eventually(lambda: lag_of_events(here) == 0)


def test_worker_is_ready_while_its_stores_answer(here: Installation, own_stack: RunningStack) -> None:
    assert get(here, "/healthz") == (200, '{"alive":true,"why":null}\n')
    assert get(here, "/readyz") == (200, '{"ready":true,"missing":{}}\n')
    own_stack.redis.freeze()
    try:
        status, body = get(here, "/readyz")
    finally:
        own_stack.redis.thaw()
    assert status == 503
    assert json.loads(body)["missing"] == {"redis": "does not answer within 2 s"}
    assert get(here, "/healthz")[0] == 200
    eventually(lambda: get(here, "/readyz")[0] == 200)


def test_lines_say_which_request_or_event_they_are_about(here: Installation) -> None:
    send_raw(here, b'{"event_id": "e-bad", "user_id": "u"}')
    here.settled(LISTENING_EVENTS)
    line = next(line for line in log_lines(here) if line.get("event_id") == "e-bad")
    assert line["topic"] == full_name(LISTENING_EVENTS, here.settings.topic_prefix)
    assert (line["level"], line["reason"]) == ("warning", "invalid")


def test_broker_that_dies_and_comes_back_is_a_handful_of_lines(here: Installation, own_stack: RunningStack) -> None:
    # Each of its consumers has begun to read: one that is only starting ends the worker, which is then started anew.
    here.client.publish(CATALOG_TRACKS, track("late"))
    here.client.publish(CATALOG_PLAYLISTS, Playlist(playlist_id="late", track_ids=("late",)))
    here.listen("u", "play", "late")
    here.settled(CATALOG_TRACKS, CATALOG_PLAYLISTS, LISTENING_EVENTS)
    assert here.ask("u").status == "ok"
    before = len(log_lines(here))
    own_stack.kafka.kill()
    eventually(lambda: get(here, "/readyz")[0] == 503)
    own_stack.kafka.start()

    def answered() -> bool:
        try:
            reply: RecommendationReply = here.ask("u", deadline_ms=2_000)
        except TopicError:
            return False
        return reply.status == "ok"

    eventually(answered)
    eventually(lambda: "Kafka is back" in str(log_lines(here)[-1]["message"]))
    eventually(lambda: get(here, "/readyz")[0] == 200)
    lines = [str(line["message"]) for line in log_lines(here)[before:]]
    assert lines[0].startswith("Kafka is away: ")
    left_out = int(lines[-1].partition("; ")[2].split()[0])
    # The clients' own lines, of which there were hundreds.
    assert left_out > 100
    assert len(lines) <= 5, lines
