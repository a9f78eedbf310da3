from __future__ import annotations

import asyncio
import json
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.errors import SettingInvalid
from streams.observing import targets
from streams.observing.endpoint import Endpoint
from streams.observing.health import Health
from streams.observing.metrics import count_reply, count_request, name_models
from streams.observing.watchdog import Heart
from streams.settings import Settings, read_settings
from topics.records import RecommendationReply, ReplyError


class Watching:
    def __init__(self, still_s: float = 0.0, kafka_away: str = "") -> None:
        self.still_s, self.kafka_away = still_s, kafka_away


def healthy(**more: object) -> Health:
    health = Health(60.0)
    health.heart, health.watchdog = Heart(60.0), Watching()  # type: ignore[assignment]
    for name, value in more.items():
        setattr(health, name, value)
    return health


async def ask(health: Health, path: str) -> tuple[str, bytes]:
    """As the server's own thread does, while the event loop turns."""
    status: list[str] = []
    endpoint = Endpoint(health, asyncio.get_running_loop())

    def call() -> bytes:
        environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
        return b"".join(endpoint(environ, lambda line, headers: status.append(line)))

    body = await asyncio.to_thread(call)
    return status[0], body


async def well() -> None:
    return None


async def broken() -> None:
    raise OSError("gone")


async def silent() -> None:
    await asyncio.Event().wait()


async def test_worker_is_alive_while_its_loop_turns_and_its_work_moves() -> None:
    assert (await ask(healthy(), "/healthz"))[0] == "200 OK"
    status, body = await ask(healthy(watchdog=Watching(still_s=60.0)), "/healthz")
    assert status == "503 Service Unavailable"
    assert json.loads(body) == {"alive": False, "why": "lag without progress for 60 s"}


async def test_worker_whose_loop_stands_still_is_not_alive() -> None:
    health = healthy()
    assert health.heart is not None
    health.heart.beaten_s = time.monotonic() - 11
    assert health.ailment() == "the event loop has not turned for 11 s"


async def test_ready_is_who_has_its_partitions_and_whose_stores_answer() -> None:
    status, body = await ask(healthy(probes={"redis": well}, shares={"app": lambda: True}), "/readyz")
    assert (status, json.loads(body)) == ("200 OK", {"ready": True, "missing": {}})


async def test_what_keeps_a_worker_from_its_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.observing.health.PROBED_WITHIN_S", 0.01)
    health = healthy(
        probes={"redis": broken, "index": silent},
        shares={"app": lambda: False},
        watchdog=Watching(kafka_away="no Kafka answers"),
    )
    status, body = await ask(health, "/readyz")
    assert status == "503 Service Unavailable"
    assert json.loads(body)["missing"] == {
        "app": "has no partitions yet",
        "kafka": "no Kafka answers",
        "redis": "OSError: gone",
        "index": "does not answer within 0.01 s",
    }


async def test_worker_that_is_starting_is_alive_and_not_ready() -> None:
    assert (await ask(Health(60.0), "/healthz"))[0] == "200 OK"
    assert json.loads((await ask(Health(60.0), "/readyz"))[1])["missing"] == {"worker": "is starting"}


async def test_other_paths_say_which_there_are() -> None:
    assert await ask(healthy(), "/") == ("404 Not Found", b"expected /metrics, /healthz or /readyz\n")


async def test_replies_are_counted_by_what_they_say_and_lack() -> None:
    async def samples() -> dict[tuple[str, ...], float]:
        _, body = await ask(healthy(), "/metrics")
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }

    before = await samples()
    full = RecommendationReply(request_id="r", user_id=None, status="ok")
    partial = RecommendationReply(
        request_id="r", user_id=None, status="partial", degraded=("seed:track:x", "seed:track:y", "acoustic")
    )
    error = ReplyError(code="overloaded", message="")
    shed = RecommendationReply(request_id="r", user_id=None, status="error", error=error)
    for reply in (full, full, partial, shed):
        count_reply(reply)
        count_request(reply, -0.5)
    name_models({"embeat_mlp": "v1", "bandit": None})
    after = await samples()

    def counted(*name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    assert counted("throughbeat_answers_total", "ok") == 2
    assert counted("throughbeat_answers_total", "partial") == 1
    assert counted("throughbeat_answers_total", "overloaded") == 1
    assert counted("throughbeat_degraded_total", "seed") == 2
    assert counted("throughbeat_degraded_total", "acoustic") == 1
    assert counted("throughbeat_records_total", "applied", "recommendation.requests") == 3
    assert counted("throughbeat_records_total", "recommendation.requests", "turned_away") == 1
    assert counted("throughbeat_answer_seconds_count") == 4
    assert counted("throughbeat_answer_seconds_bucket", "0.001") == 4
    assert after["throughbeat_model_info", "embeat_mlp", "v1"] == 1
    assert not any("bandit" in name for name in after)
    assert after["process_resident_memory_bytes",] > 1e6


def test_addresses_of_metrics_follow_the_setting() -> None:
    workers = ("index", "listening")
    told = targets.choose_addresses(Settings(metrics_port=9464, metrics_host="0.0.0.0"), workers)
    assert told == {"index": "127.0.0.1:9464", "listening": "127.0.0.1:9465"}
    assert targets.choose_addresses(Settings(metrics_port="off"), workers) == {}
    chosen = targets.choose_addresses(Settings(), workers)
    assert len(set(chosen.values())) == 2


def test_file_of_targets_is_what_prometheus_reads() -> None:
    written = json.loads(targets.encode_targets({"index": "127.0.0.1:9464"}))
    assert written == [{"targets": ["127.0.0.1:9464"], "labels": {"worker": "index"}}]


@pytest.mark.parametrize("value", ["0", "70000", "on"])
def test_port_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SettingInvalid, match="THROUGHBEAT_METRICS_PORT"):
        read_settings({"THROUGHBEAT_METRICS_PORT": value})


@pytest.mark.parametrize(("value", "port"), [("9464", 9464), ("auto", "auto"), ("off", "off")])
def test_port_is_a_number_or_a_word(value: str, port: object) -> None:
    assert read_settings({"THROUGHBEAT_METRICS_PORT": value}).metrics_port == port
