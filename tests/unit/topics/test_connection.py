"""How the settings of a connection become options of kafka-python, and what is never shown."""

from __future__ import annotations

import ssl
from dataclasses import replace

import certifi
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaConnectionError, RequestTimedOutError, SaslAuthenticationFailedError

from streams.connections import connection_of
from streams.settings import Settings
from topics.attempts import advice, more_telling
from topics.connection import BrokerUnavailable, Connection

SECURE = Settings(
    kafka_url="b1:9093, b2:9093",
    kafka_security_protocol="SASL_SSL",
    kafka_sasl_mechanism="SCRAM-SHA-256",
    kafka_username="ada",
    kafka_password="secret-of-ada",
    kafka_ca_file=certifi.where(),
)


def test_every_setting_of_the_connection_reaches_kafka_python() -> None:
    options = connection_of(SECURE).options()
    assert options["bootstrap_servers"] == ["b1:9093", "b2:9093"]
    assert options["security_protocol"] == "SASL_SSL"
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert options["ssl_context"].check_hostname
    assert options["sasl_mechanism"] == "SCRAM-SHA-256"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ada", "secret-of-ada")


def test_plain_connection_says_nothing_of_secrets_or_certificates() -> None:
    names = Connection("b1:9092").options().keys()
    assert not [name for name in names if name.startswith(("sasl", "ssl"))]


@pytest.mark.parametrize("kind", [KafkaProducer, KafkaConsumer, KafkaAdminClient])
def test_options_are_known_to_every_kind_of_client(kind: type) -> None:
    assert connection_of(SECURE).options().keys() <= kind.DEFAULT_CONFIG.keys()


def test_password_is_not_shown() -> None:
    assert "secret-of-ada" not in repr(connection_of(SECURE))


def test_certificates_that_are_not_there_are_told_at_once() -> None:
    secure = Connection("127.0.0.1:1", security_protocol="SSL", ca_file="/nope/ca.pem")
    with pytest.raises(BrokerUnavailable, match=r"/nope/ca\.pem.*THROUGHBEAT_KAFKA_CA_FILE"):
        secure.open(KafkaProducer)
    with pytest.raises(BrokerUnavailable, match=r"/nope/key\.pem.*THROUGHBEAT_KAFKA_KEY_FILE"):
        replace(secure, ca_file="", certificate_file=certifi.where(), key_file="/nope/key.pem").open(KafkaProducer)


LATE, GONE = RequestTimedOutError("Request timed out after 261 ms"), KafkaConnectionError("socket disconnected")
REFUSED = SaslAuthenticationFailedError("invalid credentials")


@pytest.mark.parametrize(
    ("before", "now", "kept"),
    [(GONE, LATE, GONE), (LATE, GONE, GONE), (REFUSED, GONE, REFUSED), (GONE, REFUSED, REFUSED)],
)
def test_an_attempt_that_was_cut_short_does_not_hide_why_those_before_failed(
    before: Exception, now: Exception, kept: Exception
) -> None:
    assert more_telling(before, now) is kept
    assert "does not let user 'nobody' in" in advice(kept, "k:9092", "SASL_SSL", "nobody", "SCRAM-SHA-512")
