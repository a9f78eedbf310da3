"""Settings on which promises of the project rest."""

from pathlib import Path

from streams.embedded.kafka import EmbeddedKafka, java_command, server_properties
from streams.embedded.redis import EmbeddedRedis, server_flags

MIB = 1024 * 1024


def test_broker_takes_a_record_of_one_mebibyte_with_room_for_its_headers() -> None:
    properties = server_properties(20_001, 20_002)
    assert int(properties["message.max.bytes"]) >= 2 * MIB
    assert int(properties["replica.fetch.max.bytes"]) >= int(properties["message.max.bytes"])


def test_no_topic_is_made_by_a_misspelt_name() -> None:
    assert server_properties(20_001, 20_002)["auto.create.topics.enable"] == "false"


def test_every_replicated_topic_of_the_broker_itself_does_with_one_broker() -> None:
    properties = server_properties(20_001, 20_002)
    needs_one = {key: value for key, value in properties.items() if key.endswith(("replication.factor", "min.isr"))}
    assert len(needs_one) == 5
    assert set(needs_one.values()) == {"1"}


def test_parts_listen_on_this_machine_only() -> None:
    listeners = server_properties(20_001, 20_002)["listeners"]
    assert listeners == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
    flags = server_flags(20_003)
    assert flags[flags.index("--bind") + 1] == "127.0.0.1"


def test_redis_appends_to_its_file_and_never_evicts() -> None:
    flags = dict(zip(server_flags(20_003)[::2], server_flags(20_003)[1::2], strict=True))
    assert flags["--appendonly"] == "yes"
    assert flags["--appendfsync"] == "everysec"
    assert flags["--maxmemory-policy"] == "noeviction"
    assert flags["--save"] == ""


def test_addresses_follow_from_the_ports_that_were_told(tmp_path: Path) -> None:
    assert EmbeddedKafka(tmp_path, 20_001, 20_002).bootstrap == "127.0.0.1:20001"
    assert EmbeddedRedis(tmp_path, 20_003).url == "redis://127.0.0.1:20003/0"


def test_broker_runs_the_jars_of_the_cache_that_was_told(tmp_path: Path) -> None:
    command = java_command(tmp_path, "kafka.Kafka", "server.properties")
    assert command[-2:] == ("kafka.Kafka", "server.properties")
    assert f"{tmp_path}/kafka_2.13-4.3.1.jar" in command[command.index("-cp") + 1]
