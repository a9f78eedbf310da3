"""A worker with one agent, run as a process by the delivery tests: it counts what it applies, and can be told to die.

    python -m tests.integration.agent_process BOOTSTRAP PREFIX OUTPUT [POISON [artists]]

Each applied event id is appended to OUTPUT. An event whose track is POISON raises, unless OUTPUT.cured exists; so do
`stuck`, which never ends, `blocked`, which holds up the event loop, and `deaf`, after which the consumer stays a member
of its group and reads nothing. `held` waits for that file, and makes OUTPUT.held; `slow` takes a second; of `gone-N`
the store is away for N seconds. With `artists` it reads these as well, and appends their ids. Settings come from
the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from streams.app import add_agent, create_app
from streams.delivery import BatchDelivery, DeadLetters, Edge, Received, Refusal
from streams.errors import StoreUnavailable
from streams.produce import FaustProducer
from streams.settings import Settings, read_settings
from streams.worker import Parts, Role, run_worker
from topics.errors import RecordRefused
from topics.records import Artist, Listen
from topics.specs import CATALOG_ARTISTS, LISTENING_EVENTS


class Poisoned(Exception):
    pass


class Effects:
    def __init__(self, app: Any, output: Path, poison: str) -> None:
        self._app = app
        self._output = output
        self._poison = poison
        self._away = 3
        self._gone_until: float | None = None

    async def apply(self, batch: Sequence[Received[Listen]]) -> Sequence[Refusal]:
        refusals = []
        for index, one in enumerate(batch):
            assert one.record is not None
            if one.record.track_id == self._poison and not self._output.with_suffix(".cured").exists():
                raise Poisoned(one.record.event_id)
            if one.record.track_id == "away" and self._away > 0:
                self._away -= 1
                raise StoreUnavailable("gone for a moment")
            await self._hinder(one.record.track_id or "")
            if one.record.track_id == "refused":
                refusals.append(Refusal(index, RecordRefused("refused", "not this one")))
                continue
            with self._output.open("a") as lines:
                lines.write(f"{one.record.event_id}\n")
        return refusals

    async def apply_artists(self, batch: Sequence[Received[Artist]]) -> Sequence[Refusal]:
        with self._output.open("a") as lines:
            lines.writelines(f"{one.record.artist_id}\n" for one in batch if one.record is not None)
        return []

    async def _hinder(self, how: str) -> None:
        if how == "slow":
            await asyncio.sleep(1)
        while how == "held" and not self._output.with_suffix(".cured").exists():
            self._output.with_suffix(".held").touch()
            await asyncio.sleep(0.1)
        if how.startswith("gone-"):
            self._gone_until = self._gone_until or time.monotonic() + float(how.removeprefix("gone-"))
            if time.monotonic() < self._gone_until:
                raise StoreUnavailable("gone for a while")
        if how == "deaf" and not self._output.with_suffix(".cured").exists():
            self._app.consumer.pause_partitions(self._app.consumer.assignment())
        if how in ("stuck", "blocked") and not self._output.with_suffix(".cured").exists():
            if how == "blocked":
                time.sleep(600)  # noqa: ASYNC251 - what it is for
            await asyncio.Event().wait()


async def assemble(settings: Settings, roles: Sequence[Role], opened: AsyncExitStack) -> Parts:
    app = create_app(settings, "listening")
    dead = DeadLetters(FaustProducer(app).send, LISTENING_EVENTS, settings.topic_prefix)
    effects = Effects(app, Path(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
    edge = Edge(LISTENING_EVENTS, Listen, lambda listen: listen.user_id)
    delivery = BatchDelivery(edge, effects.apply, dead, batch_max=1, window_s=0.0, retry_s=settings.retry_s)
    add_agent(app, LISTENING_EVENTS, settings.topic_prefix, delivery.run)
    if "artists" in sys.argv[5:]:
        artists = Edge(CATALOG_ARTISTS, Artist, lambda artist: artist.artist_id)
        also = BatchDelivery(artists, effects.apply_artists, dead, batch_max=1, window_s=0.0, retry_s=settings.retry_s)
        add_agent(app, CATALOG_ARTISTS, settings.topic_prefix, also.run)
    return Parts([app])


if __name__ == "__main__":
    told = read_settings(os.environ, kafka_url=sys.argv[1], topic_prefix=sys.argv[2])
    asyncio.run(run_worker(told, ["listening"], assemble))
