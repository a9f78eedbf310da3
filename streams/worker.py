"""One worker process: the apps of its roles, what they share, and how it ends.

A role is a consumer group of its own. An agent that raises ends the process with exit code 1; whatever started it
starts it anew, and it resumes at the first record that was not acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

from streams.connections import connection_of
from streams.errors import SettingInvalid, StreamError
from streams.garbage import keep_collected, settle
from streams.observing.endpoint import serving
from streams.observing.health import Health, Probe, has_share
from streams.observing.metrics import WORKER, name_models
from streams.observing.offsets import OffsetReader
from streams.observing.watchdog import Heart, Watchdog, WorkerStuck, end_for_certain
from streams.preflight import require_entry
from streams.settings import Settings

log = logging.getLogger(__name__)

Role = Literal["catalogue", "listening", "learning", "cooccurrence", "collaborative", "recommendations"]
ROLES: tuple[Role, ...] = ("catalogue", "listening", "learning", "cooccurrence", "collaborative", "recommendations")
# These hold the embedded index, which has one owner; the first two cannot do without each other.
INDEX_ROLES: frozenset[Role] = frozenset({"catalogue", "recommendations"})
LEARNING_ROLES: frozenset[Role] = frozenset({"cooccurrence"})
# How long a worker that ends tries to tell how far it came.
COMMIT_S = 3.0
# A part that does not stop in that time does not keep the worker from leaving.
STOP_WITHIN_S = 15.0
CANCELLED_AGAIN_S, CANCELLED_AT_MOST = 0.5, 10


class WorkerEnded(StreamError):
    """A worker stopped by itself; the message says why."""


@dataclass
class Parts:
    """What a worker runs.

    Attributes:
        apps: one Faust app a role.
        background: what runs beside them for as long as they do.
        probes: store -> a question that raises when it is away.
        models: model -> version that serves.
        shares: an app -> whether it has its partitions; filled in once the apps have started.
    """

    apps: list[Any] = field(default_factory=list)
    background: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    probes: dict[str, Probe] = field(default_factory=dict)
    models: dict[str, str | None] = field(default_factory=dict)
    shares: dict[str, Callable[[], bool]] = field(default_factory=dict)


Assemble = Callable[[Settings, Sequence[Role], AsyncExitStack], Awaitable[Parts]]


def parse_roles(text: str) -> list[Role]:
    """Roles from a comma-separated list.

    Raises:
        SettingInvalid: one of them is none.
    """
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in ROLES]
    if unknown or not wanted:
        raise SettingInvalid(f"expected roles of {', '.join(ROLES)}, got {', '.join(unknown) or 'none'}")
    return [role for role in ROLES if role in wanted]


def check_roles(roles: Sequence[Role], settings: Settings) -> None:
    """Refuse a split of roles that the embedded index cannot serve.

    Raises:
        SettingInvalid: says which roles belong together and what else would help.
    """
    held = (INDEX_ROLES | LEARNING_ROLES) & set(roles)
    if held and not held >= INDEX_ROLES and not settings.qdrant_url:
        raise SettingInvalid(
            "expected the roles catalogue and recommendations in one worker, with cooccurrence if it is to run, "
            "because the embedded index has one owner; run --roles catalogue,cooccurrence,recommendations, or name "
            "a Qdrant server in THROUGHBEAT_QDRANT_URL"
        )


async def run_worker(
    settings: Settings,
    roles: Sequence[Role],
    assemble: Assemble,
    on_ready: Callable[[], None] = lambda: None,
    wait_s: float = 0.0,
) -> None:
    """Run until SIGTERM or SIGINT, then acknowledge what is done and leave.

    Args:
        settings: the installation's.
        roles: what this process does.
        assemble: builds the parts; what it opens goes on the exit stack, and is closed after the apps have stopped.
        on_ready: called once every app has its partitions.
        wait_s: how long Kafka and its topics may take to be there.

    Raises:
        WorkerEnded: an agent or a background task ended; its cause is chained.
        WorkerStuck: there was lag and no progress.
        PortNotFree: metrics cannot be served where the settings say.
        TopicError, StoreRefused: Kafka or Redis does not let us in, or topics are missing.
    """
    check_roles(roles, settings)
    await require_entry(settings, roles, wait_s)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as opened:
        health = _observed(settings, roles, opened)
        parts = await assemble(settings, roles, opened)
        name_models(parts.models)
        assigned = [assigned_event(app) for app in parts.apps]
        tasks = [asyncio.create_task(_crashed(app, parts)) for app in parts.apps]
        try:
            await asyncio.gather(*(app.start() for app in parts.apps))
            guards = _guards(settings, parts, assigned, health, opened)
            tasks += [asyncio.create_task(_keep(step)) for step in (*parts.background, *guards)]
            tasks.append(asyncio.create_task(_announce(assigned, on_ready)))
            await _until(stopping, tasks)
        except WorkerStuck:
            end_for_certain()
            raise
        finally:
            await end(tasks)
            stops = [asyncio.create_task(_leave(app)) for app in parts.apps]
            await asyncio.wait(stops, timeout=STOP_WITHIN_S)


def _observed(settings: Settings, roles: Sequence[Role], opened: AsyncExitStack) -> Health:
    """What the worker tells of itself, from before its parts are there."""
    health = Health(settings.watchdog_s)
    WORKER.info({"roles": ",".join(roles), "version": version("throughbeat"), "prefix": settings.topic_prefix})
    if settings.metrics_port != "off":
        port = 0 if settings.metrics_port == "auto" else settings.metrics_port
        address = opened.enter_context(serving(health, settings.metrics_host, port))
        log.info("metrics at %s/metrics, health at /healthz and /readyz", address)
    return health


def _guards(
    settings: Settings, parts: Parts, assigned: Sequence[asyncio.Event], health: Health, opened: AsyncExitStack
) -> list[Callable[[], Awaitable[None]]]:
    """What ends the worker when it is stuck; from here on it can be ready."""
    offsets = OffsetReader(connection_of(settings))
    opened.callback(offsets.close)
    health.heart = Heart(settings.watchdog_s)
    health.watchdog = Watchdog(parts.apps, offsets, settings.watchdog_s, settings.topic_prefix)
    health.probes = parts.probes
    parts.shares |= {app.conf.id: has_share(app, event) for app, event in zip(parts.apps, assigned, strict=True)}
    health.shares = parts.shares
    return [health.heart.run, health.watchdog.run, keep_collected]


def assigned_event(app: Any) -> asyncio.Event:
    """Set once the app has been given its partitions, from when it starts."""
    event = asyncio.Event()

    async def complete(*_: Any, **__: Any) -> None:
        event.set()

    app.on_rebalance_complete.connect(complete, weak=False)
    return event


async def _announce(assigned: Sequence[asyncio.Event], on_ready: Callable[[], None]) -> None:
    for event in assigned:
        await event.wait()
    settle()
    on_ready()
    await asyncio.Event().wait()


async def _crashed(app: Any, parts: Parts) -> None:
    """End when the app crashes, for as long as it is one of the worker's."""
    while not (app.crashed and app in parts.apps):  # noqa: ASYNC110 - Faust has no public event for it
        await asyncio.sleep(0.05)
    raise WorkerEnded(f"{app.conf.id} ended: {app.crash_reason!r}") from app.crash_reason


async def _leave(app: Any) -> None:
    # Faust's own stop often ends before what was acknowledged last is committed: it would only be done again.
    with suppress(Exception):
        await asyncio.wait_for(app.commit(None), COMMIT_S)
    await app.stop()


async def _keep(step: Callable[[], Awaitable[None]]) -> None:
    await step()
    raise WorkerEnded(f"{step!r} ended")


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: clients of Kafka and Redis may take the first time for a time-out of their own."""
    left = set(tasks)
    for _ in range(CANCELLED_AT_MOST):
        if not left:
            break
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCELLED_AGAIN_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # known already, or of no use any more


async def _until(stopping: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    for task in done - {stop}:
        task.result()
