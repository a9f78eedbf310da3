"""The week's list for everybody who listens, on real parts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.up import environment_of
from streams.weekly import Share, lists_so_far
from streams.weeks import WEEK_MS, week_of
from tests.integration.installation import Installation, features, track
from topics.records import EarlierWeek, Item, Listen, WeeklyPlaylist
from topics.specs import CATALOG_TRACKS, LISTENING_EVENTS, PLAYLISTS_WEEKLY

DAY_MS = 86_400_000
PERSONS = ("ada", "bo {%7B}", "晴天")


@pytest.fixture(scope="module")
def here(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(stack, f"weekly{time.monotonic_ns()}", tmp_path_factory.mktemp("weekly"))
    with installation.client, installation.worker():
        installation.client.publish_many(
            CATALOG_TRACKS, (track(f"t{n}", f"artist{n}", features=features(n / 150)) for n in range(150))
        )
        installation.settled(CATALOG_TRACKS)
        now_ms = int(time.time() * 1000)
        for user_id in PERSONS:
            installation.listen(user_id, "play", f"t{len(user_id)}", occurred_at_ms=now_ms)
        # Another one did something too long ago.
        long_ago = now_ms - 40 * DAY_MS
        event = Listen(event_id="e-old", user_id="gone", kind="play", track_id="t1", occurred_at_ms=long_ago)
        installation.client.publish(LISTENING_EVENTS, event)
        installation.settled(LISTENING_EVENTS)
        yield installation


def weekly(here: Installation, *options: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["weekly", "--json", *options], env=environment_of(here.settings))
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout)


def lists(here: Installation) -> dict[str, WeeklyPlaylist]:
    return lists_so_far(connection_of(here.settings), here.settings.topic_prefix)


def held(one: WeeklyPlaylist) -> set[str]:
    return {item.track_id for item in one.items}


def test_everybody_active_has_a_list_once_a_week_and_no_track_of_it_comes_again(here: Installation) -> None:
    said = weekly(here, "--week", "2026-W10")
    assert (said["made"], said["kept"], said["failed"]) == (3, 0, {})
    first = lists(here)
    assert set(first) == set(PERSONS)
    for user_id, one in first.items():
        assert (one.user_id, one.week, len(held(one))) == (user_id, "2026-W10", 30)
        assert f"t{len(user_id)}" not in held(one)  # heard
    again = weekly(here, "--week", "2026-W10")
    assert (again["made"], again["kept"]) == (0, 3)
    assert lists(here) == first
    assert weekly(here, "--week", "2026-W11")["made"] == 3
    second = lists(here)
    for user_id, one in second.items():
        assert len(held(one)) == 30
        assert not held(one) & held(first[user_id])
        assert [(week.week, set(week.track_ids)) for week in one.earlier] == [("2026-W10", held(first[user_id]))]


def test_a_plain_request_gets_nothing_that_the_lists_of_the_last_weeks_held(here: Installation) -> None:
    now_ms = int(time.time() * 1000)
    weeks = [week_of(now_ms - number * WEEK_MS) for number in (0, 11, 14)]
    this, lately, long_ago = ([f"t{n}" for n in range(10 * part, 10 * part + 10)] for part in (2, 3, 4))

    def shown(surface: str = "discover_weekly") -> tuple[set[str], str]:
        reply = here.ask("plain", surface=surface, limit=150, max_per_artist=1, exploration=0.0)
        return {item.track_id for item in reply.items}, " ".join(reply.notes)

    before, _ = shown()
    assert {*this, *lately, *long_ago} <= before
    record = WeeklyPlaylist(
        user_id="plain",
        week=weeks[0],
        made_at_ms=now_ms,
        request_id="r",
        items=tuple(
            Item(position=at, track_id=one, title=one, artists=(), score=0.0, channels={})
            for at, one in enumerate(this)
        ),
        earlier=tuple(
            EarlierWeek(week=week, track_ids=tuple(ids))
            for week, ids in zip(weeks[1:], (lately, long_ago), strict=True)
        ),
    )
    here.client.publish(PLAYLISTS_WEEKLY, record)
    here.settled(PLAYLISTS_WEEKLY)
    found, notes = shown()
    assert found == before - {*this, *lately}
    assert "20 earlier_list" in notes
    assert {*this, *lately} <= shown("made_for_you")[0]
    here.client.withdraw(PLAYLISTS_WEEKLY, "plain")
    here.settled(PLAYLISTS_WEEKLY)
    assert shown()[0] == before


def test_a_record_that_is_no_list_is_set_aside(here: Installation) -> None:
    here.client.post_bytes(PLAYLISTS_WEEKLY, b"plain", b'{"user_id": "plain", "week": "soon"}').result(20)
    here.settled(PLAYLISTS_WEEKLY)
    (letter,) = here.dead(PLAYLISTS_WEEKLY)
    assert (letter.key, letter.value) == (b"plain", b'{"user_id": "plain", "week": "soon"}')


def test_shares_of_several_runs_are_everybody_once(here: Installation) -> None:
    made = [weekly(here, "--week", "2026-W20", "--share", f"{number}/3")["made"] for number in (1, 2, 3)]
    assert sum(made) == 3
    assert {one.week for one in lists(here).values()} == {"2026-W20"}
    # Where Kafka put a person's list is where its run looks for it.
    assert sum(weekly(here, "--week", "2026-W20", "--share", f"{number}/4")["kept"] for number in range(1, 5)) == 3
    for number in range(1, 5):
        mine = Share(number, 4, 4)
        found = lists_so_far(connection_of(here.settings), here.settings.topic_prefix, mine)
        assert set(found) == set(mine.persons(PERSONS))
    result = CliRunner().invoke(app, ["weekly", "--share", "5/5"], env=environment_of(here.settings))
    assert "expected at most 4 shares, one a partition of playlists.weekly, got 5" in result.stderr


def test_lists_that_could_not_be_made_are_told_and_made_by_the_next_run(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.weekly.TRIES", 1)
    monkeypatch.setattr("streams.weekly.DEADLINE_MS", 1)
    monkeypatch.setattr("streams.weekly.ON_THE_WAY_S", 5.0)
    result = CliRunner().invoke(app, ["weekly", "--week", "2026-W30", "--json"], env=environment_of(here.settings))
    assert result.exit_code == 1
    assert "3 persons have no list (3 deadline_exceeded): run the command again" in result.stderr
    assert msgspec.json.decode(result.stdout)["failed"] == {"deadline_exceeded": 3}
    monkeypatch.undo()
    assert weekly(here, "--week", "2026-W30")["made"] == 3
