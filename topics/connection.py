"""How to reach Kafka: one value for every Kafka client of this project, and how those of kafka-python are opened."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

from kafka.errors import KafkaError

from topics.attempts import AttemptingClient, advice
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
        certificate_file: our own certificate, for brokers that ask for one; empty = none.
        key_file: the key of our own certificate, where the certificate's file does not hold it.
        connect_within_s: how long to try before it counts as away.
    """

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    connect_within_s: float = 5.0

    def options(self) -> dict[str, Any]:
        """What any kafka-python client takes: producer, consumer or admin.

        Raises:
            BrokerUnavailable: a file of certificates cannot be used.
        """
        return {
            "bootstrap_servers": [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()],
            "bootstrap_timeout_ms": int(self.connect_within_s * 1000),
            # The library's 30 s would leave a client silent for half a minute after a broker is back.
            "reconnect_backoff_max_ms": 1_000,
            **self.security(),
        }

    def security(self) -> dict[str, Any]:
        """The options of protocol, password and certificates, which kafka-python and aiokafka call the same.

        Raises:
            BrokerUnavailable: a file of certificates cannot be used.
        """
        options: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self.tls()
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    def tls(self) -> ssl.SSLContext:
        """What is trusted, and our own certificate where there is one.

        Raises:
            BrokerUnavailable: a file is not there or holds no such thing; says which setting names it.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise BrokerUnavailable(
                _unusable(self.ca_file, "certificates", error, "THROUGHBEAT_KAFKA_CA_FILE")
            ) from error
        if self.certificate_file:
            try:
                context.load_cert_chain(self.certificate_file, self.key_file or None, password=_no_password)
            except OSError as error:
                files = " and ".join(one for one in (self.certificate_file, self.key_file) if one)
                settings = "THROUGHBEAT_KAFKA_CERTIFICATE_FILE and THROUGHBEAT_KAFKA_KEY_FILE"
                raise BrokerUnavailable(_unusable(files, "a certificate and its key", error, settings)) from error
        return context

    def open(self, kind: Any, **more: Any) -> Any:
        """A connected kafka-python client of `kind`; nothing is left behind when it cannot connect.

        Raises:
            BrokerUnavailable: says which address was tried, and what to do.
        """
        begun: list[AttemptingClient] = []

        def network(**configs: Any) -> AttemptingClient:
            client = AttemptingClient(**configs)
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
            reasons = [client.attempts.failure for client in begun if client.attempts.failure is not None]
            what = (self.bootstrap_servers, self.security_protocol, self.username, self.sasl_mechanism)
            raise BrokerUnavailable(advice(reasons[-1] if reasons else error, *what)) from error


def _unusable(files: str, what: str, error: OSError, setting: str) -> str:
    return f"{files}: expected {what} in PEM, got {error.strerror or error}: check {setting}"


def _no_password() -> str:
    """Else OpenSSL asks on the terminal for the password of a locked key."""
    return ""
