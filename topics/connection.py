"""How to reach Kafka: one value for every kafka-python client of this project, and how each is opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from topics.errors import TopicError


class BrokerUnavailable(TopicError):
    """No broker answers, or none lets us in."""


@dataclass(frozen=True)
class Connection:
    """Where Kafka is and how to talk to it.

    Attributes:
        bootstrap_servers: `host:port[,host:port]`.
        security_protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        sasl_mechanism: of a SASL protocol: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        ca_file: certificates to trust; empty = the system's own.
        connect_within_s: how long to try before it counts as away.
    """

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    connect_within_s: float = 5.0

    def options(self) -> dict[str, Any]:
        """What any kafka-python client takes: producer, consumer or admin."""
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()],
            "bootstrap_timeout_ms": int(self.connect_within_s * 1000),
            # The library's 30 s would leave a client silent for half a minute after a broker is back.
            "reconnect_backoff_max_ms": 1_000,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.endswith("SSL"):
            options["ssl_cafile"] = self.ca_file or None
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    def open(self, kind: Any, **more: Any) -> Any:
        """A connected kafka-python client of `kind`; nothing is left behind when it cannot connect.

        Raises:
            BrokerUnavailable: says which address was tried.
        """
        if self.ca_file and not Path(self.ca_file).is_file():
            raise BrokerUnavailable(f"{self.ca_file}: no such file of certificates; set THROUGHBEAT_KAFKA_CA_FILE")
        begun: list[KafkaNetClient] = []

        def network(**configs: Any) -> KafkaNetClient:
            client = KafkaNetClient(**configs)
            # Else the first look at a topic waits 0.1 s: connecting counts as a look, and no option reaches this pause.
            client.cluster.config["retry_backoff_ms"] = 10
            begun.append(client)
            return client

        try:
            return kind(**self.options(), kafka_client=network, **more)
        except (KafkaError, OSError) as error:
            # kafka-python starts its thread before it connects, and leaves it running when it cannot.
            for client in begun:
                client.close()
            raise BrokerUnavailable(self._away(error)) from error

    def _away(self, error: BaseException) -> str:
        protocol = "" if self.security_protocol == "PLAINTEXT" else f" by {self.security_protocol}"
        reason = "" if isinstance(error, KafkaTimeoutError) else f" ({error})"
        return (
            f"no Kafka answers at {self.bootstrap_servers}{protocol}{reason}: "
            "start one with `throughbeat up`, or name another with --kafka or THROUGHBEAT_KAFKA_URL"
        )
