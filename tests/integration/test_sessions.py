"""Sessions are closed by silence and sent: once, whoever dies meanwhile. Real Kafka and Redis, workers as processes."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path

import pytest

from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from tests.integration.installation import NOW_MS, Installation, eventually
from tests.integration.responder import stored
from topics.codec import decode
from topics.records import ListeningContext, ListeningSession, SessionTrack
from topics.specs import LISTENING_EVENTS, LISTENING_SESSIONS, full_name

MINUTE_MS = 60_000


def open_here(stack: RunningStack, tmp_path: Path, silence_s: float) -> Installation:
    return Installation(stack, f"s{uuid.uuid4().hex[:8]}", tmp_path, session_silence_s=silence_s)


def sessions(here: Installation) -> list[ListeningSession]:
    """Every record of the topic, by person and time."""
    topic = full_name(LISTENING_SESSIONS, here.settings.topic_prefix)
    records = stored(connection_of(here.settings), topic)
    read = [decode(record.value, ListeningSession) for record in records]
    assert [record.key.decode() for record in records] == [one.user_id for one in read]
    return sorted(read, key=lambda one: (one.user_id, one.started_at_ms))


def heard(session: ListeningSession) -> list[str]:
    return [one.track_id for one in session.tracks]


def test_silence_ends_a_session_that_says_what_was_heard_and_how(stack: RunningStack, tmp_path: Path) -> None:
    here = open_here(stack, tmp_path, 1.0)
    with here.client, here.worker("listening"):
        where = ListeningContext(device="phone", activity="running", local_hour=7)
        here.listen("u", "play", "a", occurred_at_ms=NOW_MS, duration_ms=200_000, played_ms=50_000, context=where)
        here.listen("u", "like", "a", occurred_at_ms=NOW_MS + 1)
        here.listen("u", "skip", "b", occurred_at_ms=NOW_MS + 2)
        here.listen("u", "follow_artist", artist_id="x", occurred_at_ms=NOW_MS + 3)
        here.listen("silent", "like", "a")
        eventually(lambda: len(sessions(here)) == 1)
        (one,) = sessions(here)
        assert one == ListeningSession(
            session_id=one.session_id,
            user_id="u",
            started_at_ms=NOW_MS,
            ended_at_ms=NOW_MS + 3,
            tracks=(
                SessionTrack(track_id="a", heard=0.25, occurred_at_ms=NOW_MS, played_ms=50_000, duration_ms=200_000),
                SessionTrack(track_id="b", skipped=True, heard=0.0, occurred_at_ms=NOW_MS + 2),
            ),
            context=where,
        )
        # What comes after belongs to the next, however near it occurred.
        here.listen("u", "play", "c", occurred_at_ms=NOW_MS + 4)
        eventually(lambda: len(sessions(here)) == 2)
        assert heard(sessions(here)[1]) == ["c"]
        assert len({one.session_id for one in sessions(here)}) == 2


def test_a_gap_between_events_ends_a_session_and_late_events_stand_where_they_occurred(
    stack: RunningStack, tmp_path: Path
) -> None:
    here = open_here(stack, tmp_path, 1_800.0)
    with here.client, here.worker("listening"):
        times = {"a": 0, "b": 29, "late": 10, "c": 58, "early": -29, "long ago": -90}
        for track_id, minute in times.items():
            here.listen("u", "play", track_id, occurred_at_ms=NOW_MS - 600 * MINUTE_MS + minute * MINUTE_MS)
        here.settled(LISTENING_EVENTS)
        assert sessions(here) == []
        here.listen("u", "play", "next", occurred_at_ms=NOW_MS - 600 * MINUTE_MS + 89 * MINUTE_MS)
        eventually(lambda: len(sessions(here)) == 1)
        assert heard(sessions(here)[0]) == ["early", "a", "late", "b", "c"]


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_worker_killed_while_it_sends_a_session_leaves_it_to_the_next(
    stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    here = open_here(stack, tmp_path, 0.5)
    monkeypatch.setenv("THROUGHBEAT_TEST_DIES", dies)
    monkeypatch.setenv("THROUGHBEAT_TEST_DIED", str(tmp_path / "died"))
    with here.client:
        with here.worker("listening", "tests.integration.dying_worker") as first:
            for track_id in "abc":
                here.listen("u", "play", track_id)
            eventually(lambda: first.poll() is not None)
        assert len(sessions(here)) == (1 if dies == "after" else 0)
        with here.worker("listening"):
            eventually(lambda: len(sessions(here)) == (2 if dies == "after" else 1))
            assert {one.session_id for one in sessions(here)} == {sessions(here)[0].session_id}
            # The next session comes alone: what was sent is forgotten.
            here.listen("u", "play", "d")
            eventually(lambda: ["d"] in map(heard, sessions(here)))
            assert Counter(map(len, map(heard, sessions(here)))) == {3: 2 if dies == "after" else 1, 1: 1}


def test_two_workers_of_which_one_is_killed_send_each_session_once(stack: RunningStack, tmp_path: Path) -> None:
    here = open_here(stack, tmp_path, 3.0)
    people = [f"person {number}" for number in range(300)]
    with here.client, here.worker("listening"):
        with here.worker("listening") as other:
            for person in people:
                here.listen(person, "play", f"of {person}")
            here.settled(LISTENING_EVENTS)
            other.kill()
            other.wait()
        eventually(lambda: len({one.user_id for one in sessions(here)}) == len(people), within_s=90)
    assert Counter(one.user_id for one in sessions(here)) == dict.fromkeys(people, 1)
