"""The compose file and the settings say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from streams.settings import PREFIX, Settings, read_settings, variable
from streams.worker import ROLES
from topics.specs import MAX_DEAD_LETTER_BYTES

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def ours() -> Iterator[dict[str, Any]]:
    return (service for service in SERVICES.values() if service.get("image", "").startswith("throughbeat"))


def test_every_variable_of_a_worker_is_a_setting_that_it_accepts() -> None:
    known = {variable(name) for name in Settings.__struct_fields__}
    for service in ours():
        assert set(service["environment"]) <= known
        read_settings(service["environment"])


def test_addresses_name_services_of_the_file() -> None:
    settings = read_settings(SERVICES["catalogue"]["environment"])
    hosts = [settings.kafka_url, settings.redis_url.split("//")[1], settings.qdrant_url.split("//")[1]]
    assert [host.split(":")[0] for host in hosts] == ["kafka", "redis", "qdrant"]
    assert settings.kafka_url in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_every_role_has_its_worker() -> None:
    commands = [service["command"] for service in ours()]
    assert {command[2] for command in commands if command[0] == "worker"} == set(ROLES)


def test_redis_keeps_what_it_acknowledged_and_kafka_takes_dead_letters() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert SERVICES["kafka"]["environment"]["KAFKA_MESSAGE_MAX_BYTES"] > MAX_DEAD_LETTER_BYTES


def test_kafka_remembers_where_a_role_was_for_thirty_days() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_OFFSETS_RETENTION_MINUTES"] >= 30 * 24 * 60


def test_no_variable_of_ours_is_misspelt_anywhere() -> None:
    words = (ROOT / "docker-compose.yml").read_text().replace(":", " ").split()
    assert {word for word in words if word.startswith(PREFIX)} <= {variable(n) for n in Settings.__struct_fields__}
