"""Playlists that are published change answers: learned from the log, taken up while the old tables serve."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.tables import MODEL, current, versions
from streams.catching_up import NotCaughtUp, until_served
from streams.cli import app
from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.logged import read_log
from streams.refreshing import Refresher, directory_of, learned_from, refresh
from streams.serving.announcements import read_updates
from streams.up import environment_of
from tests.integration.installation import Installation, eventually, track
from topics.records import ListeningSession, Playlist, Seed, SessionTrack
from topics.specs import CATALOG_PLAYLISTS, CATALOG_TRACKS, LISTENING_SESSIONS

ARTISTS, EACH = 24, 5
IDS = [f"t{at}" for at in range(ARTISTS * EACH)]


@pytest.fixture
def made(stack: RunningStack, prefix: str, tmp_path: Path) -> Iterator[Installation]:
    """Tracks that all sound alike, and playlists that keep even artists and odd ones apart."""
    one = Installation(stack, prefix, tmp_path)
    one.client.publish_many(CATALOG_TRACKS, [track(name, f"artist{at // EACH}") for at, name in enumerate(IDS)])
    one.client.publish_many(CATALOG_PLAYLISTS, [playlist(at) for at in range(60)])
    yield one
    one.client.close()


def playlist(number: int) -> Playlist:
    own = [name for at, name in enumerate(IDS) if (at // EACH) % 2 == number % 2]
    start = number * 7 % len(own)
    return Playlist(playlist_id=f"p{number}", track_ids=tuple((own + own)[start : start + 14]))


def side(name: str) -> int:
    return int(name[1:]) // EACH % 2


def test_playlists_lead_to_what_stands_with_the_seeds_and_a_withdrawn_one_does_not(made: Installation) -> None:
    with made.worker("catalogue,recommendations"):
        made.settled(CATALOG_TRACKS, CATALOG_PLAYLISTS)
        assert made.ask(seeds=(Seed(track_id="t0"),)).models[MODEL] is None
        told = refresh(made.settings, seed=1)
        assert (told["tracks"], told["lists"]) == (len(IDS), 60)

        def taken_up(version: str) -> bool:
            return made.ask(seeds=(Seed(track_id="t0"),)).models[MODEL] == version

        eventually(lambda: taken_up(told["version"]))
        reply = made.ask(seeds=(Seed(track_id="t0"), Seed(track_id="t10")), limit=10, max_per_artist=2, exploration=0.0)
        assert {side(item.track_id) for item in reply.items} == {0}
        assert {"artist_neighbours", "neighbours", "factors"} <= {
            name for item in reply.items for name in item.channels
        }
        assert all("prior" in item.why.contributions for item in reply.items)

        # A release that the tables do not know is judged by what is known of it, and found.
        made.client.publish(CATALOG_TRACKS, track("new", "artist0"))
        eventually(lambda: "new" in {i.track_id for i in made.ask(seeds=(Seed(track_id="t0"),), limit=20).items})

        for number in range(0, 60, 2):
            made.client.withdraw(CATALOG_PLAYLISTS, f"p{number}")
        again = refresh(made.settings, seed=1)
        assert again["lists"] == 30
        eventually(lambda: taken_up(again["version"]))
        assert "neighbours" not in {n for i in made.ask(seeds=(Seed(track_id="t0"),)).items for n in i.channels}


def test_what_listeners_of_a_track_hear_is_found_for_another_who_hears_it(made: Installation) -> None:
    # Each hears four tracks in two sessions, one of them skipped; nobody else hears them.
    apart = ("t0", "t6", "t12", "t18")
    for user_id in ("ada", "bo"):
        for number, tracks in enumerate((apart[:2], apart[2:])):
            heard = tuple(SessionTrack(track_id=one, skipped=one == "t18") for one in tracks)
            made.client.publish(
                LISTENING_SESSIONS,
                ListeningSession(
                    session_id=f"{user_id}{number}", user_id=user_id, started_at_ms=1, ended_at_ms=2, tracks=heard
                ),
            )
    with made.worker("catalogue,recommendations"):
        made.settled(CATALOG_TRACKS)
        told = refresh(made.settings, seed=1)
        assert (told["lists"], told["listeners"]) == (62, 2)
        eventually(lambda: made.ask(seeds=(Seed(track_id="t0"),)).models[MODEL] == told["version"])
        reply = made.ask(seeds=(Seed(track_id="t0"),), limit=100)
        by_listeners = {item.track_id: item for item in reply.items if "listeners" in item.channels}
        assert set(by_listeners) == {"t6", "t12"}
        assert all("listeners" in item.why.contributions for item in by_listeners.values())


def test_tables_that_are_damaged_change_nothing(made: Installation) -> None:
    with made.worker("catalogue,recommendations"):
        made.settled(CATALOG_TRACKS)
        good = refresh(made.settings, seed=1)["version"]
        eventually(lambda: made.ask(seeds=(Seed(track_id="t0"),)).models[MODEL] == good)
        directory = directory_of(made.settings)
        (directory / "bad.safetensors").write_bytes((directory / f"{good}.safetensors").read_bytes()[:-1])
        (directory / "current").write_text("bad")
        log = made.settings.data_dir / "worker.log"
        eventually(lambda: "bad.safetensors" in log.read_text())
        reply = made.ask(seeds=(Seed(track_id="t0"),))
        assert reply.status == "ok"
        assert reply.models[MODEL] == good


def test_a_worker_learns_by_itself_what_stands_in_the_log(made: Installation) -> None:
    assert learned_from(made.settings) is None
    with made.worker("collaborative"):
        eventually(lambda: current(directory_of(made.settings)) is not None, within_s=120)
    found = read_log(connection_of(made.settings), made.settings.topic_prefix)
    assert learned_from(made.settings) == found.offsets
    assert sum(found.offsets["catalog.playlists"].values()) == 60
    assert {track.track_id for track in found.tracks} == set(IDS)


def test_one_command_brings_all_models_up_to_date_and_returns_when_answers_use_them(made: Installation) -> None:
    with made.worker("catalogue,cooccurrence,recommendations"):
        result = CliRunner().invoke(app, ["models", "refresh", "--wait"], env=environment_of(made.settings))
        assert result.exit_code == 0, result.output
        version = current(directory_of(made.settings))
        assert result.stdout == f"{MODEL} {version} serves\n"
        # At once, and without waiting for anything: this is what the command waited for.
        reply = made.ask(seeds=(Seed(track_id="t0"), Seed(track_id="t10")), limit=10)
        assert reply.models[MODEL] == version
        assert {"playlist", "neighbours"} <= {name for item in reply.items for name in item.channels}
        ends = learned_from(made.settings)
        assert ends is not None
        assert sum(ends["catalog.playlists"].values()) == 60


def test_a_rollback_is_in_answers_when_the_command_returns_and_is_not_undone_by_itself(made: Installation) -> None:
    def run(*command: str) -> str:
        result = CliRunner().invoke(app, ["models", *command], env=environment_of(made.settings))
        assert result.exit_code == 0, result.output
        return result.stdout

    def answering() -> str:
        return made.ask(seeds=(Seed(track_id="t0"),)).models[MODEL]

    def announced() -> tuple[str, str | None, str]:
        told = read_updates(connection_of(made.settings), made.settings.topic_prefix)[0][MODEL]
        return told.version, told.previous, told.by

    with made.worker("catalogue,recommendations"):
        made.settled(CATALOG_TRACKS, CATALOG_PLAYLISTS)
        first = refresh(made.settings, seed=1)["version"]
        made.client.withdraw(CATALOG_PLAYLISTS, "p0")
        second = refresh(made.settings, seed=1)["version"]
        eventually(lambda: answering() == second)
        assert announced() == (second, first, "installation")
        assert run("rollback", "collaborative") == f"{MODEL} {first} serves\n"
        assert answering() == first
        assert announced() == (first, second, "operator")
        listed = {row["version"]: row["state"] for row in json.loads(run("list", "bridge", "--json"))}
        assert listed == {first: "serves", second: "here"}
        told = json.loads(run("show", "collaborative"))
        assert (told["version"], sum(told["offsets"]["catalog.playlists"].values())) == (first, 60)
        # The log has come to rest and holds more than what serves was learned from; it was gone back to all the same.
        refresher = Refresher(made.settings)
        assert [asyncio.run(refresher.look()) for _ in range(2)] == [False, False]
        assert run("promote", "collaborative", second) == f"{MODEL} {second} serves\n"
        assert answering() == second


def test_who_waited_for_another_to_learn_does_not_learn_the_same_again(made: Installation) -> None:
    with ThreadPoolExecutor() as threads:
        first = threads.submit(refresh, made.settings, 1)
        eventually(lambda: (directory_of(made.settings) / "lock").exists())
        second = threads.submit(refresh, made.settings, 2)
        assert second.result()["version"] == first.result()["version"]
    assert versions(directory_of(made.settings)) == [first.result()["version"]]
    # With a seed of its own, and nobody to wait for, it does.
    made.client.withdraw(CATALOG_PLAYLISTS, "p0")
    assert refresh(made.settings, seed=2)["version"] != first.result()["version"]


def test_waiting_for_a_version_ends_with_one_that_was_made_after_it(made: Installation) -> None:
    with made.worker("catalogue,recommendations"):
        made.settled(CATALOG_TRACKS, CATALOG_PLAYLISTS)
        older = refresh(made.settings, seed=1)["version"]
        made.client.withdraw(CATALOG_PLAYLISTS, "p0")
        newer = refresh(made.settings, seed=1)["version"]
        assert newer != older
        until_served(made.settings, older, time.monotonic() + 60, or_newer=True)
        eventually(lambda: made.ask(seeds=(Seed(track_id="t0"),)).models[MODEL] == newer)
        with pytest.raises(NotCaughtUp, match=f"{newer} and not {older}"):
            until_served(made.settings, older, time.monotonic() + 1)


def test_models_cannot_catch_up_without_workers_and_the_command_says_which(made: Installation) -> None:
    command = ["models", "refresh", "--within", "1"]
    result = CliRunner().invoke(app, command, env=environment_of(made.settings))
    assert result.exit_code == 1
    assert "wait for a worker with the role catalogue: is one running?" in result.stderr
    assert current(directory_of(made.settings)) is None
