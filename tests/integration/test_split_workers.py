"""One worker, two or four on split roles: one owns the index, the others share the rest. The same comes of it.

Workers join and leave while events come; Kafka and Redis are reached by URL.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from streams.embedded.stack import RunningStack
from tests.integration.installation import ALL_ROLES, Installation, track
from tests.integration.test_bad_input import report
from topics.records import Seed
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS

SPLITS = {
    1: [ALL_ROLES],
    2: ["catalogue,recommendations", "listening"],
    4: ["catalogue,recommendations", "listening", "listening", "listening"],
}
PEOPLE, TRACKS, EVENTS = 12, 30, 240


def plays() -> list[tuple[str, str]]:
    """Who plays what, in order: each of twelve people at a pace of their own through thirty tracks."""
    return [(f"u{n % PEOPLE}", f"t{(n // PEOPLE) * (1 + n % PEOPLE) % TRACKS}") for n in range(EVENTS)]


def send(here: Installation, part: list[tuple[str, str]]) -> None:
    for who, what in part:
        here.listen(who, "play", what)


def heard(here: Installation) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for person in range(PEOPLE):
        told: dict[str, Any] = report(here, f"u{person}")
        found[f"u{person}"] = {one["track_id"]: one["plays"] for one in told["heard"]}
    return found


def must_be_heard() -> dict[str, dict[str, int]]:
    return {
        f"u{person}": dict(Counter(what for who, what in plays() if who == f"u{person}")) for person in range(PEOPLE)
    }


@pytest.mark.parametrize("count", SPLITS)
def test_any_number_of_workers_counts_and_answers_alike_while_they_come_and_go(
    stack: RunningStack, prefix: str, tmp_path: Path, count: int
) -> None:
    here = Installation(stack, prefix, tmp_path)
    half = EVENTS // 2
    with here.client, ExitStack() as workers:
        for roles in SPLITS[count]:
            workers.enter_context(here.worker(roles))
        here.client.publish_many(CATALOG_TRACKS, [track(f"t{n}", f"a{n % 7}") for n in range(TRACKS)])
        with here.worker("listening") as joined:
            send(here, plays()[:half])
            joined.terminate()
            send(here, plays()[half:])
        with here.worker("listening") as killed:
            killed.kill()
        here.settled(CATALOG_TRACKS, LISTENING_EVENTS)
        assert heard(here) == must_be_heard()
        for person, known in must_be_heard().items():
            reply = here.ask(person, seeds=(Seed(track_id="t0"),), limit=TRACKS)
            left = {f"t{n}" for n in range(TRACKS)} - known.keys() - {"t0"}
            assert {item.track_id for item in reply.items} == left
    assert here.dead(LISTENING_EVENTS) == []
