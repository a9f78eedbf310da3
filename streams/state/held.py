"""How what is held about a person is written, and read back."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from recall.person import Anchor, Person
from streams.state.given import GivenList
from topics.records import Listen, ListeningContext, ListenKind

Context = tuple[str | None, str | None, int | None]


class SessionEvent(Struct, frozen=True, array_like=True, gc=False):
    """One event of a session: a listening event without its person; `context` is device, activity and local hour."""

    event_id: str
    kind: ListenKind
    track_id: str | None
    artist_id: str | None
    occurred_at_ms: int
    played_ms: int | None
    duration_ms: int | None
    session_id: str | None
    request_id: str | None
    surface: str | None
    context: Context | None = None


class Heard(NamedTuple):
    """How often and when a track was heard."""

    last_at_ms: int
    plays: int
    skips: int


class Held(Struct, frozen=True, kw_only=True):
    """All that is held about a person; each collection has the oldest first.

    Attributes:
        heard: by when last heard; the other collections by when their event arrived.
        likes: id -> when; so are `dislikes`, `saves`, `blocked_artists` and `followed_artists`.
        weekly_lists: that they were given, the latest first.
    """

    events_counted: int
    heard: dict[str, Heard]
    likes: dict[str, int]
    dislikes: dict[str, int]
    saves: dict[str, int]
    blocked_artists: dict[str, int]
    followed_artists: dict[str, int]
    anchors: tuple[Anchor, ...]
    session: tuple[SessionEvent, ...]
    weekly_lists: tuple[GivenList, ...] = ()


_HEARD, _RATED, _ANCHOR = struct.Struct("<IHII"), struct.Struct("<IHIH"), struct.Struct("<IHIHd")
_encode = msgspec.msgpack.Encoder().encode
_decode_session_event = msgspec.msgpack.Decoder(SessionEvent).decode


def session_entry(event: Listen) -> bytes:
    """The event as the session keeps it."""
    where = event.context
    return _encode(
        SessionEvent(
            event.event_id,
            event.kind,
            event.track_id,
            event.artist_id,
            event.occurred_at_ms,
            event.played_ms,
            event.duration_ms,
            event.session_id,
            event.request_id,
            event.surface,
            None if where is None else (where.device, where.activity, where.local_hour),
        )
    )


def decode_session(entries: Sequence[bytes]) -> tuple[SessionEvent, ...]:
    """The events, in the order given."""
    return tuple(map(_decode_session_event, entries))


def decode_last_heard(flat: Sequence[bytes], newest: int) -> dict[str, int]:
    """Track -> when it was last heard, of the `newest` tracks, ties by id; in no order."""
    values = _HEARD.iter_unpack(b"".join(flat[1::2]))
    heard = [(low | high << 32, track) for track, (low, high, _, _) in zip(flat[::2], values, strict=True)]
    if len(heard) > newest:
        heard = sorted(heard)[-newest:]
    return {track.decode(): at_ms for at_ms, track in heard}


def decode_heard(flat: Sequence[bytes], newest: int) -> dict[str, Heard]:
    """The `newest` tracks heard, the oldest first, ties by id."""
    values = _HEARD.iter_unpack(b"".join(flat[1::2]))
    heard = [
        (low | high << 32, track, plays, skips)
        for track, (low, high, plays, skips) in zip(flat[::2], values, strict=True)
    ]
    return {track.decode(): Heard(at_ms, plays, skips) for at_ms, track, plays, skips in sorted(heard)[-newest:]}


def decode_rated(flat: Sequence[bytes], newest: int) -> dict[str, int]:
    """The `newest` ids with their times, in the order in which they came."""
    values = _RATED.iter_unpack(b"".join(flat[1::2]))
    rated = [
        (order | order_high << 32, key, low | high << 32)
        for key, (order, order_high, low, high) in zip(flat[::2], values, strict=True)
    ]
    return {key.decode(): at_ms for _, key, at_ms in sorted(rated)[-newest:]}


def decode_anchors(flat: Sequence[bytes], newest: int) -> tuple[Anchor, ...]:
    """The `newest` anchors, in the order in which they last grew."""
    values = _ANCHOR.iter_unpack(b"".join(flat[1::2]))
    anchors = [
        (order | order_high << 32, Anchor(track.decode(), weight, low | high << 32))
        for track, (order, order_high, low, high, weight) in zip(flat[::2], values, strict=True)
    ]
    anchors.sort(key=lambda one: one[0])
    return tuple(anchor for _, anchor in anchors[-newest:])


def person(
    user_id: str,
    replies: Sequence[Any],
    *,
    heard_max: int,
    rated_max: int,
    anchors_max: int,
    earlier_lists: frozenset[str] = frozenset(),
) -> Person:
    """What recall wants to know, of the replies for all of a person's keys after the first two."""
    heard, likes, dislikes, _, blocked, followed, anchors, session = replies
    return Person(
        user_id=user_id,
        heard=decode_last_heard(heard, heard_max),
        likes=frozenset(decode_rated(likes, rated_max)),
        dislikes=frozenset(decode_rated(dislikes, rated_max)),
        blocked_artists=frozenset(decode_rated(blocked, rated_max)),
        followed_artists=tuple(decode_rated(followed, rated_max)),
        anchors=decode_anchors(anchors, anchors_max),
        session=tuple(listen(user_id, event) for event in decode_session(session)),
        earlier_lists=earlier_lists,
    )


def listen(user_id: str, event: SessionEvent) -> Listen:
    """The event as it travelled."""
    return Listen(
        event_id=event.event_id,
        user_id=user_id,
        kind=event.kind,
        occurred_at_ms=event.occurred_at_ms,
        track_id=event.track_id,
        artist_id=event.artist_id,
        played_ms=event.played_ms,
        duration_ms=event.duration_ms,
        session_id=event.session_id,
        request_id=event.request_id,
        surface=event.surface,
        context=listening_context(event),
    )


def listening_context(event: SessionEvent) -> ListeningContext | None:
    """Where and when somebody listened, as it travelled."""
    if event.context is None:
        return None
    device, activity, local_hour = event.context
    return ListeningContext(device=device, activity=activity, local_hour=local_hour)


def report(user_id: str, held: Held) -> dict[str, Any]:
    """What `person show` says: the lists have the oldest first; `weekly_lists` is there when there are some."""
    found = {
        "user_id": user_id,
        "events_counted": held.events_counted,
        "heard": [
            {"track_id": track_id, "plays": one.plays, "skips": one.skips, "last_at_ms": one.last_at_ms}
            for track_id, one in held.heard.items()
        ],
        "likes": list(held.likes),
        "dislikes": list(held.dislikes),
        "saves": list(held.saves),
        "blocked_artists": list(held.blocked_artists),
        "followed_artists": list(held.followed_artists),
        "session": [msgspec.structs.asdict(event) for event in held.session],
    }
    given = [msgspec.structs.asdict(one) for one in held.weekly_lists]
    return {**found, "weekly_lists": given} if given else found
