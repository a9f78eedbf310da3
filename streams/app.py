"""Where a worker's parts are joined: one Faust app for each role, so that each keeps its own place in the log.

A consumer group per role means that roles can be spread over processes in any way without moving offsets, and that a
bulk load of the catalogue never holds up requests that share its process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from mode import CrashingSupervisor

from streams.connections import connection_of
from streams.settings import Settings
from streams.transport import Arrivals, QuickTransport
from topics.specs import TopicSpec, full_name

# Enough to keep an agent busy through Kafka's fetches; beyond it Faust pauses the partition in one-second steps.
STREAM_BUFFER = 8_192


def create_app(settings: Settings, group: str) -> Any:
    """A Faust app that loses nothing by its settings; agents are added by `add_agent`.

    Args:
        settings: the installation's.
        group: name of the consumer group, without the installation's prefix.
    """
    prefix = f"{settings.topic_prefix.rstrip('.')}." if settings.topic_prefix else ""
    # Faust makes its own directory, but none above it.
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        f"{prefix}throughbeat.{group}",
        broker=[f"kafka://{server.strip()}" for server in settings.kafka_url.split(",")],
        broker_credentials=_credentials(settings),
        autodiscover=False,
        store="memory://",
        datadir=str(settings.data_dir / "faust"),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.worker_name or None,
        broker_session_timeout=10,
        broker_heartbeat_interval=3,
        broker_request_timeout=30,
        broker_commit_interval=0.5,
        broker_max_poll_interval=600,
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_buffer_maxsize=STREAM_BUFFER,
        stream_wait_empty=False,
        producer_acks=-1,
        producer_linger=0,
        # One batch a partition is under way at a time, and replies to one client go to one partition.
        producer_max_batch_size=1_000_000,
        producer_max_request_size=2_100_000,
    )
    app.transport = QuickTransport(app.conf.broker_consumer, app)
    return app


def add_agent(app: Any, spec: TopicSpec, prefix: str, body: Callable[[Arrivals], Awaitable[None]]) -> Any:
    """Registers `body(arrivals)` as the agent of a topic: raw bytes, one reader, the process ends when it raises."""
    if member := app.conf.consumer_group_instance_id:
        # Kafka gives a member that it knows the partitions that it had, and none of a topic that it did not read then.
        app.conf.consumer_group_instance_id = f"{member}.{spec.name}"
    topic = app.topic(
        full_name(spec, prefix),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )

    async def read(stream: Any) -> None:
        await body(Arrivals(stream))

    return app.agent(topic, name=spec.name, concurrency=1, supervisor_strategy=CrashingSupervisor)(read)


def _credentials(settings: Settings) -> Any:
    security = connection_of(settings).security()
    context = security.get("ssl_context")
    if "sasl_mechanism" in security:
        return SASLCredentials(
            username=settings.kafka_username,
            password=settings.kafka_password,
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None
