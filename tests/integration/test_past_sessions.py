"""What people heard before is known to the worker that answers, also after it died."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from models.past_sessions import PastSessionsConfig
from streams.embedded.stack import RunningStack
from streams.past_sessions import PastSessionsFollower, path_of
from tests.integration.installation import NOW_MS, Installation, eventually, track
from topics.records import ListeningSession, SessionTrack
from topics.specs import CATALOG_TRACKS, LISTENING_SESSIONS

SMALL = PastSessionsConfig(sessions=100)


def session(name: str, *tracks: str, skipped: str = "") -> ListeningSession:
    heard = [SessionTrack(track_id=one, heard=1.0) for one in tracks]
    others = SessionTrack(track_id=skipped or "none", skipped=True), SessionTrack(track_id="bit", heard=0.2)
    return ListeningSession(
        session_id=name,
        user_id=f"user of {name}",
        started_at_ms=NOW_MS - 1,
        ended_at_ms=NOW_MS,
        tracks=(*heard, *others),
    )


@asynccontextmanager
async def following(here: Installation) -> AsyncIterator[PastSessionsFollower]:
    follower = PastSessionsFollower(here.settings, SMALL)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.02)


def next_to(follower: PastSessionsFollower, *track_ids: str) -> list[str]:
    return [one for one, _ in follower.sessions.next_to(track_ids, 10, now_ms=NOW_MS)]


async def test_sessions_are_read_once_and_go_on_from_the_file(stack: RunningStack, prefix: str, tmp_path: Path) -> None:
    here = Installation(stack, prefix, tmp_path)
    with here.client:
        first = session("one", "a", "b", "c", skipped="d")
        for one in (first, first, session("two", "x", "y")):
            here.client.publish(LISTENING_SESSIONS, one)
        here.client.post_bytes(LISTENING_SESSIONS, b"u", b"no session", []).result()
        async with following(here) as follower:
            await until(lambda: len(follower.sessions) == 2)
            assert next_to(follower, "a") == ["b", "c"]
        assert path_of(here.settings).exists()
        here.client.publish(LISTENING_SESSIONS, session("three", "b", "e"))
        async with following(here) as follower:
            await until(lambda: len(follower.sessions) == 3)
            assert next_to(follower, "b") == ["e", "a", "c"]
        # A damaged file is no loss: the topic is read from its beginning.
        path_of(here.settings).write_bytes(b"damaged")
        async with following(here) as follower:
            await until(lambda: len(follower.sessions) == 3)


def test_a_session_of_one_person_leads_another_to_what_came_next(
    stack: RunningStack, prefix: str, tmp_path: Path
) -> None:
    here = Installation(stack, prefix, tmp_path, session_silence_s=1.0)
    with here.client, here.worker():
        for number in range(30):
            here.client.publish(CATALOG_TRACKS, track(f"t{number}", f"artist {number}"))
        here.settled(CATALOG_TRACKS)
        for track_id in ("t1", "t29", "t17"):
            here.listen("before", "play", track_id)
        here.listen("now", "play", "t1")

        def reasons() -> dict[str, str]:
            reply = here.ask("now", limit=30)
            return {i.track_id: i.why.text for i in reply.items if "session_neighbours" in i.channels}

        eventually(lambda: set(reasons()) == {"t29", "t17"})
