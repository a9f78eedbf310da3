"""A listener as recall sees them."""

from __future__ import annotations

from msgspec import Struct

from topics.records import Listen


class Anchor(Struct, frozen=True, gc=False):
    """A track that says what a person likes: finished, liked, saved; `weight` > 0 grows with the evidence."""

    track_id: str
    weight: float
    at_ms: int


class Person(Struct, frozen=True, gc=False, kw_only=True):
    """What is known of a listener when a request is answered.

    Attributes:
        heard: track id -> when it was last heard, in UTC milliseconds.
        anchors: what they like, the latest last.
        session: their last events, the latest last.
        explored: explored tracks that they reacted to, decayed; `explored_gladly` those that they heard or kept.
        earlier_lists: tracks of the weekly lists that they were given in this week and the last ones.
    """

    user_id: str | None = None
    heard: dict[str, int] = {}
    likes: frozenset[str] = frozenset()
    dislikes: frozenset[str] = frozenset()
    blocked_artists: frozenset[str] = frozenset()
    followed_artists: tuple[str, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    session: tuple[Listen, ...] = ()
    explored: float = 0.0
    explored_gladly: float = 0.0
    earlier_lists: frozenset[str] = frozenset()


NOBODY = Person()
