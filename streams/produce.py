"""Writes to Kafka through a Faust app's own producer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from aiokafka.errors import KafkaError

from topics.errors import PublishFailed

# How long a topic that is not there is taken not to be there.
UNKNOWN_FOR_S = 5.0


class FaustProducer:
    """A producer of one app; usable once the app runs."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._missing: dict[str, float] = {}

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Returns once the broker has acknowledged.

        Raises:
            PublishFailed: it did not.
        """
        try:
            if key is None and value is None:
                await self._send_nothing(topic, partition or 0, headers)
            else:
                await self._app.producer.send_and_wait(topic, key, value, partition, None, list(headers))
        except (OSError, KafkaError) as error:
            raise PublishFailed(f"{topic}: {error}") from error

    async def _send_nothing(self, topic: str, partition: int, headers: Sequence[tuple[str, bytes | None]]) -> None:
        """A record with neither key nor value: a topic that is not compacted holds it, aiokafka's `send` refuses it."""
        producer = self._app.producer._producer
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=list(headers))
        await (await producer.send_batch(batch, topic, partition=partition))

    async def partitions_of(self, topic: str) -> int:
        """How many partitions the topic has; 0 when there is no such topic. Asks the brokers only about new names."""
        client = self._app.producer._producer.client
        partitions = client.cluster.partitions_for_topic(topic)
        if partitions or self._missing.get(topic, 0.0) > time.monotonic():
            return len(partitions or ())
        metadata = await client.fetch_all_metadata()
        partitions = metadata.partitions_for_topic(topic)
        if not partitions:
            self._missing = {topic: time.monotonic() + UNKNOWN_FOR_S, **dict(list(self._missing.items())[:100])}
        return len(partitions or ())
