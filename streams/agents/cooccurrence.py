"""What a playlist or a closed session does: tracks move nearer to those that they occur with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from models.track2vec import PLAYLIST, SESSION, Change
from streams.delivery import Received, Refusal
from topics.records import ListeningSession, Playlist, SessionTrack

# A track counts as liked in a session from this share on.
HEARD_ENOUGH = 0.5


class Learner(Protocol):
    """Learns from lists of tracks."""

    async def absorb(self, changes: Sequence[Change]) -> None:
        """Let each count once however often it comes; returns when a disk holds them."""


class CooccurrenceEffects:
    """Hands playlists and sessions to a learner; applying a record again changes nothing."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    async def apply_playlists(self, batch: Sequence[Received[Playlist]]) -> Sequence[Refusal]:
        """Learn from playlists as they now are; what a withdrawn one showed fades."""
        await self._learner.absorb([change_of_playlist(one) for one in batch])
        return ()

    async def apply_sessions(self, batch: Sequence[Received[ListeningSession]]) -> Sequence[Refusal]:
        """Learn from what people heard one after the other."""
        await self._learner.absorb([change_of_session(one) for one in batch])
        return ()


def change_of_playlist(received: Received[Playlist]) -> Change:
    """The playlist as a list; without tracks when it is withdrawn."""
    playlist = received.record
    return Change(
        received.topic,
        received.partition,
        received.offset,
        PLAYLIST + received.key_text,
        None if playlist is None else playlist.track_ids,
        (playlist.updated_at_ms or 0) if playlist is not None else 0,
    )


def change_of_session(received: Received[ListeningSession]) -> Change:
    """The session's tracks that were listened to; sent twice, it has the same name, so it counts once."""
    session = received.record
    heard = tuple(one.track_id for one in session.tracks if is_heard(one)) if session is not None else None
    key = SESSION + (session.session_id if session is not None else received.key_text)
    return Change(received.topic, received.partition, received.offset, key, heard)


def is_heard(track: SessionTrack) -> bool:
    """Whether enough of a track was heard to say that it belongs there."""
    return not track.skipped and (track.heard is None or track.heard >= HEARD_ENOUGH)
