"""Every model up to date with all that has arrived, and in use: for who has loaded a catalogue and will not wait."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

from kafka.admin import KafkaAdminClient

from models.tables import MODEL, versions
from streams.connections import connection_of
from streams.errors import StreamError
from streams.lag import end_offsets, lag_of
from streams.refreshing import SEED, directory_of, refresh
from streams.settings import Settings
from streams.state.connection import connect
from streams.state.settling import Settling
from topics.client import Client
from topics.errors import RequestTimedOut
from topics.records import RecommendationRequest
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    LISTENING_SESSIONS,
    TopicSpec,
    full_name,
)

COOCCURRENCE = "cooccurrence"
# What grows by the event, and the topics that it grows by.
READERS: tuple[tuple[str, TopicSpec], ...] = (
    ("catalogue", CATALOG_TRACKS),
    ("catalogue", CATALOG_ARTISTS),
    ("catalogue", CATALOG_PLAYLISTS),
    (COOCCURRENCE, CATALOG_PLAYLISTS),
    (COOCCURRENCE, LISTENING_SESSIONS),
)
LOOK_S = 0.2
ANSWER_WITHIN_S = 5.0

OnStep = Callable[[str, int, int], None]


class NotCaughtUp(StreamError):
    """Workers are behind, or do not use what was learned."""


def catch_up(
    settings: Settings, *, within_s: float, wait: bool, on_step: OnStep = lambda doing, done, total: None
) -> str:
    """Wait until the workers have read all that is there now, learn what is learned from all of it, and let it serve.

    Args:
        settings: the installation's.
        within_s: for the workers to read, and again for them to use what was learned.
        wait: return only when answers name the version.
        on_step: told what is under way, and how much of how much of it is done.

    Returns:
        The version of the collaborative tables.

    Raises:
        NotCaughtUp: they have not within the time.
        BrokerUnavailable: Kafka does not answer.
        StoreUnavailable: Redis does not answer.
    """
    has_lists = _until_read(settings, time.monotonic() + within_s, on_step)
    version = str(refresh(settings, SEED, on_step)["version"])
    if wait:
        deadline_s = time.monotonic() + within_s
        if has_lists:
            on_step("waiting for Track2Vec to have gone over all lists", 0, 1)
            asyncio.run(_until_settled(settings, deadline_s))
        on_step("waiting for answers that use it", 0, 1)
        until_served(settings, version, deadline_s, or_newer=True)
    return version


def _until_read(settings: Settings, deadline_s: float, on_step: OnStep) -> bool:
    """Wait for the workers to have read all; whether there are lists that are learned from as they come."""
    admin = connection_of(settings).open(KafkaAdminClient)
    try:
        for role, spec in READERS:
            while left := lag_of(admin, spec, settings.topic_prefix, role):
                on_step(f"{left:,} records of {spec.name} to be read", 0, 1)
                if time.monotonic() > deadline_s:
                    raise NotCaughtUp(
                        f"{left:,} records of {spec.name} wait for a worker with the role {role}: is one running?"
                    )
                time.sleep(LOOK_S)
        lists = [full_name(spec, settings.topic_prefix) for role, spec in READERS if role == COOCCURRENCE]
        return any(any(end_offsets(admin, topic).values()) for topic in lists)
    finally:
        admin.close()


async def _until_settled(settings: Settings, deadline_s: float) -> None:
    redis = connect(settings)
    try:
        settling = Settling(redis, settings)
        asked = await settling.ask()
        while not await settling.is_told(asked):
            if time.monotonic() > deadline_s:
                raise NotCaughtUp(
                    f"lists that came are still being learned from by the worker with the role {COOCCURRENCE}: is it "
                    "running? Wait longer with `--within`"
                )
            await asyncio.sleep(LOOK_S)
    finally:
        await redis.aclose()


def until_served(settings: Settings, version: str, deadline_s: float, *, or_newer: bool = False) -> None:
    """Wait until answers name a version of the collaborative tables, or perhaps one that was made after it.

    Raises:
        NotCaughtUp: they do not in time.
        BrokerUnavailable: Kafka does not answer.
    """
    named = None
    with Client(connection_of(settings), settings.topic_prefix) as client:
        while named not in (wanted := _from(settings, version) if or_newer else [version]):
            if time.monotonic() > deadline_s:
                raise NotCaughtUp(f"answers use {MODEL} {named or 'of no version'} and not {version}: see `doctor`")
            request = RecommendationRequest(request_id=f"models-{uuid.uuid4().hex}", limit=1)
            try:
                named = client.ask(request, ANSWER_WITHIN_S).models.get(MODEL)
            except RequestTimedOut:
                continue
            time.sleep(0 if named in wanted else LOOK_S)


def _from(settings: Settings, version: str) -> list[str]:
    """The version, and those that were made after it: what learns by itself may have done so meanwhile."""
    there = versions(directory_of(settings))
    return there[: there.index(version) + 1] if version in there else [version]
