"""What a worker looks at before it starts: whether it is let in everywhere, and its topics are there.

Faust and aiokafka try again and again where a password is wrong; this says so once, in one line.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streams.connections import connection_of
from streams.errors import StoreRefused, StoreUnavailable
from streams.settings import Settings
from streams.state.connection import connect
from topics.admin import TopicsNotManaged, require_topics
from topics.connection import BrokerUnavailable
from topics.errors import UnknownTopic
from topics.specs import (
    CATALOG_ARTISTS,
    CATALOG_PLAYLISTS,
    CATALOG_TRACKS,
    LISTENING_EVENTS,
    LISTENING_SESSIONS,
    MODELS_UPDATES,
    PLAYLISTS_WEEKLY,
    REPLIES,
    REQUESTS,
    SERVED,
    TopicSpec,
    dead_letters_of,
    full_name,
)

if TYPE_CHECKING:
    from streams.worker import Role

ASK_AGAIN_S = 0.1
# What each role reads; what it cannot apply goes to the dead letters of the same topic.
READ: Mapping[Role, Sequence[TopicSpec]] = {
    "catalogue": (CATALOG_TRACKS, CATALOG_ARTISTS, CATALOG_PLAYLISTS),
    "listening": (LISTENING_EVENTS, PLAYLISTS_WEEKLY),
    "learning": (),
    "cooccurrence": (CATALOG_PLAYLISTS, LISTENING_SESSIONS),
    "collaborative": (),
    "recommendations": (REQUESTS,),
}
# What it writes besides, or reads without setting anything aside.
BESIDES: Mapping[Role, Sequence[TopicSpec]] = {
    "catalogue": (MODELS_UPDATES,),
    "listening": (),
    "learning": (LISTENING_EVENTS, SERVED),
    "cooccurrence": (MODELS_UPDATES,),
    "collaborative": (CATALOG_TRACKS, CATALOG_ARTISTS, CATALOG_PLAYLISTS, LISTENING_SESSIONS, MODELS_UPDATES),
    "recommendations": (REPLIES, SERVED, CATALOG_TRACKS, CATALOG_ARTISTS, MODELS_UPDATES),
}


def topics_of(role: Role) -> list[TopicSpec]:
    """Every topic that a worker of the role reads or writes."""
    return [*READ[role], *map(dead_letters_of, READ[role]), *BESIDES[role]]


async def require_entry(settings: Settings, roles: Sequence[Role], within_s: float = 0.0) -> None:
    """Returns when Kafka lets us in and has the roles' topics, and Redis does not turn us away.

    A Redis that is merely away is none of this: whoever needs it waits for it.

    Args:
        settings: the installation's.
        roles: what the worker does.
        within_s: for how long Kafka, or topics, may be missing.

    Raises:
        BrokerUnavailable: no broker answers, or none lets us in.
        UnknownTopic, TopicsNotManaged: topics are missing, or hidden from us.
        StoreRefused: Redis does not let us in.
    """
    names = [full_name(spec, settings.topic_prefix) for role in roles for spec in topics_of(role)]
    deadline = time.monotonic() + within_s
    with _quiet(logging.getLogger("kafka")):
        while True:
            try:
                await asyncio.to_thread(require_topics, connection_of(settings), names)
                break
            except (BrokerUnavailable, UnknownTopic, TopicsNotManaged):
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(ASK_AGAIN_S)
    redis = connect(settings)
    try:
        await redis.run([(b"PING",)])
    except StoreRefused:
        raise
    except StoreUnavailable:
        return
    finally:
        await redis.aclose()


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """No lines of each attempt, unless everything is to be told: what comes of them is told once."""
    before, debugging = logger.level, logger.isEnabledFor(logging.DEBUG)
    logger.setLevel(before if debugging else logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
