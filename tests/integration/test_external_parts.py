"""Roles as processes of their own against Kafka, Redis and Qdrant by URL: any number of each, one result.

Kafka is the real broker of the test session, Redis is Debian's where it is installed and Valkey else. No Qdrant server
can be had by pip or apt, so a stand-in answers its calls (see qdrant_stand_in.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from streams.connections import connection_of
from streams.embedded.redis import EmbeddedRedis, redis_child, server_flags
from streams.embedded.stack import RunningStack
from streams.lag import committed_offsets, group_names
from tests.integration.installation import Installation, eventually, features, track
from tests.integration.qdrant_stand_in import qdrant_stand_in
from tests.integration.secure import DEBIAN_REDIS, running
from topics.records import Seed
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, REQUESTS, full_name

ROLES = ("catalogue", "listening", "recommendations")
PEOPLE, PLAYS, TRACKS = 12, 5, 40


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    embedded = EmbeddedRedis(tmp_path / "redis")
    child = redis_child(embedded)
    if DEBIAN_REDIS is not None:
        child = replace(child, argv=(DEBIAN_REDIS, *server_flags(embedded.port)))
    with running(child):
        yield embedded.url


@pytest.fixture
def here(stack: RunningStack, prefix: str, tmp_path: Path, redis_url: str) -> Iterator[Installation]:
    with qdrant_stand_in() as qdrant_url:
        parts = {"redis_url": redis_url, "qdrant_url": qdrant_url}
        installation = Installation(stack, prefix, tmp_path, **parts)
        with installation.client:
            yield installation


def listens(here: Installation) -> None:
    for person in range(PEOPLE):
        for play in range(PLAYS):
            here.listen(f"u{person}", "play", f"t{(person + play) % TRACKS}")


def counted(here: Installation) -> list[int]:
    from tests.integration.test_bad_input import report

    return [int(report(here, f"u{person}")["events_counted"]) for person in range(PEOPLE)]


def test_two_workers_of_each_role_share_the_work_and_answer_alike(here: Installation) -> None:
    with ExitStack() as workers:
        for _ in range(2):
            for role in ROLES:
                workers.enter_context(here.worker(role))
        sent = [track(f"t{n}", f"a{n % 7}", features=features(energy=n / TRACKS)) for n in range(TRACKS)]
        here.client.publish_many(CATALOG_TRACKS, sent)
        here.settled(CATALOG_TRACKS)
        listens(here)
        # Each request goes to the worker that has its partition: whoever it is knows what all have heard.
        for person in range(PEOPLE):
            reply = here.ask(f"u{person}", seeds=(Seed(track_id="t0"),), limit=TRACKS)
            heard = {f"t{(person + play) % TRACKS}" for play in range(PLAYS)}
            found = {item.track_id for item in reply.items}
            assert reply.status == "ok", reply.degraded
            assert found == {one.track_id for one in sent} - heard - {"t0"}
        assert counted(here) == [PLAYS] * PEOPLE
        assert shares(here) == {"listening": 2, "recommendations": 2, "catalogue": 2, "texts": 1}


def shares(here: Installation) -> dict[str, int]:
    """How many members of each role have partitions."""
    prefix = f"{here.settings.topic_prefix}.throughbeat."
    admin = connection_of(here.settings).open(KafkaAdminClient)
    try:
        groups = [name for name in group_names(admin) if name.startswith(prefix)]
        described = admin.describe_groups(groups)
        return {name.removeprefix(prefix).partition(".")[0]: len(one["members"]) for name, one in described.items()}
    finally:
        admin.close()


def test_worker_that_is_killed_leaves_its_share_to_the_others(here: Installation) -> None:
    with here.worker("catalogue"), here.worker("recommendations"), here.worker("listening") as first:
        with here.worker("listening"):
            here.client.publish(CATALOG_TRACKS, track("t0"))
            listens(here)
            first.kill()
            listens(here)
            here.ask("u0")
        assert counted(here) == [2 * PLAYS] * PEOPLE
    assert here.dead(LISTENING_EVENTS) == []


def test_roles_that_share_an_index_by_url_need_not_share_a_process(here: Installation) -> None:
    name = f"new-{uuid.uuid4().hex[:6]}"
    with here.worker("recommendations"):
        assert name not in [item.track_id for item in here.ask("ada").items]
        with here.worker("catalogue"):
            here.client.publish(CATALOG_TRACKS, track(name))
            here.settled(CATALOG_TRACKS)
        # The catalogue's worker is gone, and what it wrote is served.
        assert [item.track_id for item in here.ask("ada").items] == [name]
        eventually(lambda: committed(here) > 0)


def committed(here: Installation) -> int:
    """Requests that the workers have acknowledged."""
    admin = connection_of(here.settings).open(KafkaAdminClient)
    try:
        offsets = committed_offsets(admin, f"{here.settings.topic_prefix}.throughbeat.recommendations")
        topic = full_name(REQUESTS, here.settings.topic_prefix)
        return sum(offset for (name, _), offset in offsets.items() if name == topic)
    finally:
        admin.close()
