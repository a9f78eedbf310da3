"""An installation of its own for a test: topics under a prefix, workers as processes, and a client."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.lag import lag_of
from streams.settings import Settings
from streams.up import environment_of
from tests.integration.forked import ForkedProcess
from topics.admin import create_topics
from topics.client import Client, Published
from topics.records import ArtistRef, Features, Listen, RecommendationReply, RecommendationRequest, Track
from topics.specs import LISTENING_EVENTS, TopicSpec, dead_letters_of, full_name

ALL_ROLES = "catalogue,listening,learning,cooccurrence,recommendations"
NOW_MS = 1_790_000_000_000


def eventually(true: Callable[[], bool], within_s: float = 150.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def features(energy: float = 0.5, **more: float) -> Features:
    dense = dict.fromkeys(("danceability", "valence", "acousticness", "liveness", "speechiness"), 0.4)
    return Features(**{**dense, "instrumentalness": 0.1, "energy": energy, "tempo": 120.0, "key": 5, "mode": 1, **more})


def track(track_id: str, artist: str = "a", **fields: object) -> Track:
    fields.setdefault("title", f"Title {track_id}")
    fields.setdefault("features", features())
    return Track(track_id=track_id, artists=(ArtistRef(artist_id=artist, name=f"Name {artist}"),), **fields)


class Installation:
    """One prefix on the test session's broker and Redis; `more` are settings on top."""

    def __init__(self, stack: RunningStack, prefix: str, data_dir: Path, **more: Any) -> None:
        addresses = {"kafka_url": stack.kafka_bootstrap, "redis_url": stack.redis_url}
        self._open(Settings(**{**addresses, "topic_prefix": prefix, "data_dir": data_dir, **more}))

    @classmethod
    def of(cls, settings: Settings) -> Installation:
        """One on parts of its own."""
        self = cls.__new__(cls)
        self._open(settings)
        return self

    def _open(self, settings: Settings) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        create_topics(connection_of(settings), settings.topic_prefix, 0, 1)
        self.client = Client(connection_of(settings), settings.topic_prefix)
        self.watermark: dict[str, int] = {}

    @contextmanager
    def worker(self, roles: str = ALL_ROLES, module: str = "streams.cli") -> Iterator[ForkedProcess]:
        """A worker that has its partitions."""
        ready = self.settings.data_dir / f"{uuid.uuid4().hex}.ready"
        arguments = ["worker", "--roles", roles, "--ready-file", str(ready)]
        environment = {**os.environ, **environment_of(self.settings)}
        process = ForkedProcess(module, arguments, environment, self.settings.data_dir / "worker.log")
        try:
            eventually(lambda: ready.exists() or process.poll() is not None)
            assert process.poll() is None, (self.settings.data_dir / "worker.log").read_text()[-3000:]
            yield process
        finally:
            process.terminate()
            process.wait(90)

    def listen(self, user_id: str, kind: str, track_id: str | None = None, **more: object) -> Published:
        """Publish one listening event; the next `ask` waits for it."""
        event = Listen(
            event_id=str(more.pop("event_id", uuid.uuid4().hex)),
            user_id=user_id,
            track_id=track_id,
            kind=kind,
            occurred_at_ms=more.pop("occurred_at_ms", NOW_MS),
            **more,
        )
        sent = self.client.publish(LISTENING_EVENTS, event)
        self.watermark[str(sent.partition)] = max(sent.offset, self.watermark.get(str(sent.partition), 0))
        return sent

    def ask(self, user_id: str | None = None, **fields: object) -> RecommendationReply:
        """The answer, once every event published here has counted."""
        fields.setdefault("after", self.watermark)
        fields.setdefault("deadline_ms", 20_000)
        request = RecommendationRequest(request_id=uuid.uuid4().hex, user_id=user_id, **fields)
        return self.client.ask(request, timeout_s=25)

    def settled(self, *specs: TopicSpec) -> None:
        """Wait until the workers have acknowledged all of these topics."""
        admin = connection_of(self.settings).open(KafkaAdminClient)
        try:
            for spec in specs:
                role = "listening" if spec is LISTENING_EVENTS else ""
                eventually(lambda spec=spec, role=role: lag_of(admin, spec, self.settings.topic_prefix, role) == 0)
        finally:
            admin.close()

    def dead(self, spec: TopicSpec) -> Sequence[object]:
        """All dead letters of a topic."""
        consumer = connection_of(self.settings).open(KafkaConsumer)
        place = TopicPartition(full_name(dead_letters_of(spec), self.settings.topic_prefix), 0)
        try:
            consumer.assign([place])
            consumer.seek_to_beginning(place)
            end = consumer.end_offsets([place])[place]
            letters: list[object] = []
            while consumer.position(place) < end:
                letters += consumer.poll(500).get(place, [])
            return letters
        finally:
            consumer.close()
