from __future__ import annotations

from collections.abc import Sequence

from models.track2vec import Change
from streams.agents.cooccurrence import CooccurrenceEffects
from streams.delivery import Received
from topics.records import ListeningSession, Playlist, SessionTrack


class Learner:
    def __init__(self) -> None:
        self.changes: list[Change] = []

    async def absorb(self, changes: Sequence[Change]) -> None:
        self.changes += changes


def received(topic: str, offset: int, key: str, record: Playlist | ListeningSession | None) -> Received:
    return Received(topic, 3, offset, 0, key.encode(), (), record)


async def test_playlist_is_a_list_and_its_withdrawal_none() -> None:
    learner = Learner()
    one = Playlist(playlist_id="p1", track_ids=("a", "b", "a"), updated_at_ms=9)
    batch = [received("catalog.playlists", 5, "p1", one), received("catalog.playlists", 6, "p1", None)]
    assert await CooccurrenceEffects(learner).apply_playlists(batch) == ()
    assert learner.changes == [
        Change("catalog.playlists", 3, 5, "p:p1", ("a", "b", "a"), 9),
        Change("catalog.playlists", 3, 6, "p:p1", None, 0),
    ]


async def test_session_is_a_list_of_what_was_listened_to() -> None:
    learner = Learner()
    tracks = (
        SessionTrack(track_id="whole", heard=1.0),
        SessionTrack(track_id="skipped", skipped=True, heard=0.9),
        SessionTrack(track_id="hardly", heard=0.2),
        SessionTrack(track_id="not known how long"),
    )
    session = ListeningSession(session_id="s", user_id="ada", started_at_ms=1, ended_at_ms=2, tracks=tracks)
    await CooccurrenceEffects(learner).apply_sessions([received("listening.sessions", 8, "ada", session)])
    assert learner.changes == [Change("listening.sessions", 3, 8, "s:s", ("whole", "not known how long"))]
