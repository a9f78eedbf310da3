"""From the settings to the connections that they describe."""

from __future__ import annotations

from streams.settings import Settings
from topics.connection import Connection


def connection_of(settings: Settings) -> Connection:
    """How kafka-python clients of this installation reach Kafka."""
    return Connection(
        bootstrap_servers=settings.kafka_url,
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password,
        ca_file=settings.kafka_ca_file,
        certificate_file=settings.kafka_certificate_file,
        key_file=settings.kafka_key_file,
    )
