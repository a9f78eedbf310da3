"""`throughbeat weekly` killed in the middle, and run again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import msgspec

from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.logged import read_records
from streams.up import environment_of
from tests.integration.installation import Installation, eventually, features, track
from topics.codec import decode
from topics.records import WeeklyPlaylist
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, PLAYLISTS_WEEKLY

WEEK = "2026-W10"
PERSONS = [f"u{number}" for number in range(60)]


def weekly(here: Installation) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "streams.cli", "weekly", "--week", WEEK, "--at-once", "2", "--json"]
    environment = {**os.environ, **environment_of(here.settings)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def made(here: Installation) -> dict[str, list[WeeklyPlaylist]]:
    """Every record that was ever written of a person."""
    found: dict[str, list[WeeklyPlaylist]] = defaultdict(list)
    for one in read_records(connection_of(here.settings), here.settings.topic_prefix, PLAYLISTS_WEEKLY):
        found[one.key.decode()].append(decode(one.value, WeeklyPlaylist))
    return found


def test_a_run_that_is_killed_is_finished_by_the_next_and_nobody_s_list_is_made_anew(
    stack: RunningStack, prefix: str, tmp_path: Path
) -> None:
    here = Installation(stack, prefix, tmp_path)
    with here.client, here.worker():
        here.client.publish_many(
            CATALOG_TRACKS, (track(f"t{n}", f"artist{n}", features=features(n / 100)) for n in range(100))
        )
        here.settled(CATALOG_TRACKS)
        for number, user_id in enumerate(PERSONS):
            here.listen(user_id, "play", f"t{number}", occurred_at_ms=int(time.time() * 1000))
        here.settled(LISTENING_EVENTS)

        first = weekly(here)
        eventually(lambda: len(made(here)) >= 5 or first.poll() is not None)
        first.kill()
        first.communicate()
        assert first.returncode == -9, "it had ended before it could be killed"
        before = made(here)
        assert 5 <= len(before) < len(PERSONS)

        second = weekly(here)
        said, errors = second.communicate(timeout=120)
        assert second.returncode == 0, errors.decode()
        after = made(here)
        assert sorted(after) == sorted(PERSONS)
        assert {len(lists) for lists in after.values()} == {1}
        assert all(after[user_id] == lists for user_id, lists in before.items())
        assert all(one.week == WEEK and len(one.items) == 30 for (one,) in after.values())
        counts = msgspec.json.decode(said)
        assert (counts["made"] + counts["kept"], counts["failed"]) == (len(PERSONS), {})
        assert counts["kept"] >= len(before)
