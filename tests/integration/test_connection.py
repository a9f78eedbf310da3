"""What is told, and left behind, where no broker answers."""

from __future__ import annotations

import threading

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient

from topics.connection import BrokerUnavailable, Connection


@pytest.mark.parametrize("kind", [KafkaProducer, KafkaConsumer, KafkaAdminClient])
@pytest.mark.parametrize("address", ["127.0.0.1:1", "no.such.host.invalid:9092"])
def test_client_that_cannot_connect_leaves_no_thread(kind: type, address: str) -> None:
    before = set(threading.enumerate())
    with pytest.raises(BrokerUnavailable, match=rf"no Kafka answers at {address}.*throughbeat up"):
        Connection(address, connect_within_s=0.2).open(kind)
    assert set(threading.enumerate()) <= before  # one of an earlier test may end meanwhile


def test_protocol_other_than_the_plain_one_is_told_because_it_may_be_the_fault() -> None:
    with pytest.raises(BrokerUnavailable, match=r"no Kafka answers at 127\.0\.0\.1:1 by SSL"):
        Connection("127.0.0.1:1", security_protocol="SSL", connect_within_s=0.2).open(KafkaProducer)
