"""The embedded Kafka is a real broker that keeps what it acknowledged."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from streams.embedded.errors import ChildNotReady, DataDirectoryInUse, JarMismatch, PortTaken
from streams.embedded.kafka import EmbeddedKafka, kafka_child
from streams.embedded.kafka_jars import default_cache_dir, pinned_jars
from streams.embedded.process import log_tail
from streams.embedded.stack import RunningPart, RunningStack, running_stack

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a path with spaces, commas and ümlauts")


@pytest.fixture(scope="module")
def stack(data_dir: Path) -> Iterator[RunningStack]:
    with running_stack(data_dir) as running:
        yield running


@pytest.fixture
def topic(stack: RunningStack) -> str:
    name = f"test-{uuid4().hex}"
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    admin.close()
    return name


def publish(bootstrap: str, topic: str, values: list[bytes], headers: list[tuple[str, bytes]] | None = None) -> None:
    """Return once the broker has acknowledged every value."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=4 * MIB, max_block_ms=10_000)
    for receipt in [producer.send(topic, value, headers=headers) for value in values]:
        receipt.get(timeout=90)
    producer.close()


def stored(bootstrap: str, topic: str) -> list[bytes]:
    """Read the whole of partition 0."""
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    values: list[bytes] = []
    while consumer.position(partition) < end:
        values += [record.value for record in consumer.poll(timeout_ms=500).get(partition, [])]
    consumer.close()
    return values


def test_killed_broker_has_every_acknowledged_record_at_the_same_address(stack: RunningStack, topic: str) -> None:
    values = [f"record {number}".encode() for number in range(2_000)]
    publish(stack.kafka_bootstrap, topic, values)
    stack.kafka.kill()
    assert stack.kafka.pid is None
    stack.kafka.start()
    assert stored(stack.kafka_bootstrap, topic) == values


def test_broker_that_was_stopped_takes_new_records_after_its_restart(stack: RunningStack, topic: str) -> None:
    publish(stack.kafka_bootstrap, topic, [b"before"])
    stack.kafka.restart()
    publish(stack.kafka_bootstrap, topic, [b"after"])
    assert stored(stack.kafka_bootstrap, topic) == [b"before", b"after"]


def test_largest_record_of_the_contract_fits_with_the_headers_of_a_dead_letter(stack: RunningStack, topic: str) -> None:
    record = os.urandom(MIB)
    publish(stack.kafka_bootstrap, topic, [record], headers=[("reason", b"r" * 4_096)])
    assert stored(stack.kafka_bootstrap, topic) == [record]


def test_topic_that_nobody_declared_is_not_made_by_writing_to_it(stack: RunningStack) -> None:
    producer = KafkaProducer(bootstrap_servers=stack.kafka_bootstrap, max_block_ms=2_000)
    with pytest.raises(KafkaError):
        producer.send("misspelt", b"value").get(timeout=5)
    producer.close()
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    topics = admin.list_topics()
    admin.close()
    assert "misspelt" not in topics


def test_another_broker_on_the_port_is_not_taken_for_ours(stack: RunningStack, tmp_path: Path) -> None:
    port = int(stack.kafka_bootstrap.rpartition(":")[2])
    assert not EmbeddedKafka(tmp_path, port).is_ready()


def test_port_in_use_is_refused_before_anything_is_started(stack: RunningStack, tmp_path: Path) -> None:
    port = int(stack.kafka_bootstrap.rpartition(":")[2])
    with pytest.raises(PortTaken, match=f"^port {port} on 127.0.0.1 is taken by another program"):
        EmbeddedKafka(tmp_path, port).prepare()
    assert list(tmp_path.iterdir()) == []


def test_data_directory_in_use_is_refused_with_the_process_that_holds_it(stack: RunningStack, data_dir: Path) -> None:
    with pytest.raises(DataDirectoryInUse, match=f"is in use by process {os.getpid()}: stop that process or"):
        running_stack(data_dir).__enter__()


def test_broker_writes_its_log_to_a_file(stack: RunningStack, data_dir: Path) -> None:
    assert "Kafka Server started" in (data_dir / "logs" / "kafka.log").read_text()


def test_tampered_jar_is_refused_by_name(stack: RunningStack, tmp_path: Path) -> None:
    cache, victim = tmp_path / "cache", "kafka-clients-4.3.1.jar"
    cache.mkdir()
    for jar in pinned_jars():
        (cache / jar.name).symlink_to(default_cache_dir() / jar.name)
    content = bytearray((cache / victim).read_bytes())
    content[len(content) // 2] ^= 1
    (cache / victim).unlink()
    (cache / victim).write_bytes(content)
    with pytest.raises(JarMismatch, match=f"^{victim} in .* has sha256 .*, expected "):
        EmbeddedKafka(tmp_path / "data", cache_dir=cache).prepare()


def test_broker_that_cannot_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    kafka = EmbeddedKafka(tmp_path)
    kafka.prepare()
    (kafka.directory / "records" / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=2\n")
    part = RunningPart(kafka_child(kafka))
    with pytest.raises(ChildNotReady, match=r"kafka ended before it was ready; the end of .*kafka\.log:") as failed:
        part.start()
    assert str(failed.value).endswith(log_tail(tmp_path / "logs" / "kafka.log"))
    assert "node id" in str(failed.value).lower().replace(".", " ")


def test_records_are_found_again_on_other_ports(tmp_path: Path) -> None:
    with running_stack(tmp_path) as first:
        admin = KafkaAdminClient(bootstrap_servers=first.kafka_bootstrap)
        admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
        admin.close()
        publish(first.kafka_bootstrap, "kept", [b"one", b"two"])
    with running_stack(tmp_path) as second:
        assert second.kafka_bootstrap != first.kafka_bootstrap
        assert stored(second.kafka_bootstrap, "kept") == [b"one", b"two"]
