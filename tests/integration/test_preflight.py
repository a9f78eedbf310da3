"""A worker looks before it starts whether all it needs is there, and waits for that as long as it is told to."""

from __future__ import annotations

import threading

import pytest

from streams.connections import connection_of
from streams.embedded.ports import free_port
from streams.embedded.stack import RunningStack
from streams.preflight import require_entry
from streams.settings import Settings
from topics.admin import create_topics
from topics.connection import BrokerUnavailable
from topics.errors import UnknownTopic


async def test_without_topics_it_is_told_at_once_or_goes_on_when_they_come(stack: RunningStack, prefix: str) -> None:
    settings = Settings(kafka_url=stack.kafka_bootstrap, redis_url=stack.redis_url, topic_prefix=prefix)
    with pytest.raises(UnknownTopic, match=rf"{prefix}\.listening\.events.*throughbeat topics create"):
        await require_entry(settings, ["listening"])
    making = threading.Timer(0.5, create_topics, (connection_of(settings), prefix))
    making.start()
    await require_entry(settings, ["listening"], within_s=60)
    making.join()


async def test_a_broker_that_does_not_come_is_told_in_the_end() -> None:
    with pytest.raises(BrokerUnavailable):
        await require_entry(Settings(kafka_url=f"127.0.0.1:{free_port()}"), ["listening"], within_s=3)
