"""What persons and popularity must be, in plain dicts and lists: an independent statement of the rules."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from streams.delivery import Received
from topics.records import Listen

Place = tuple[int, int]


@dataclass
class PersonOracle:
    """One person. Collections are dicts in the order in which their ids came."""

    heard_max: int
    rated_max: int
    counted: list[str] = field(default_factory=list)
    heard: dict[str, list[int]] = field(default_factory=dict)
    likes: dict[str, int] = field(default_factory=dict)
    dislikes: dict[str, int] = field(default_factory=dict)
    saves: dict[str, int] = field(default_factory=dict)
    blocked: dict[str, int] = field(default_factory=dict)
    followed: dict[str, int] = field(default_factory=dict)
    anchors: dict[str, tuple[float, int]] = field(default_factory=dict)
    events: list[Listen] = field(default_factory=list)
    closed: list[list[Listen]] = field(default_factory=list)
    opened: int = 0
    members: list[tuple[int, Listen]] = field(default_factory=list)

    def count(self, event: Listen) -> bool:
        """Apply an event that comes for the first time; whether it counts."""
        if event.event_id in self.counted[-200:]:
            return False
        self.counted.append(event.event_id)
        self._join_session(event)
        self.events.append(event)
        getattr(self, f"_{event.kind}")(event, event.track_id or "", event.artist_id or "", event.occurred_at_ms)
        return True

    def _join_session(self, event: Listen) -> None:
        """Sessions by the gaps of half an hour, of 200 events at most; a clock ahead counts as now."""
        at, silence = min(event.occurred_at_ms, int(time.time() * 1000)), 1_800_000
        events = len(self.events) - self.opened
        if events == 200 or (events and at > max(at for at, _ in self.members) + silence):
            self.closed.append([one for _, one in self.members])
            self.opened, self.members = len(self.events), []
        if not self.members or at >= min(at for at, _ in self.members) - silence:
            self.members.append((at, event))

    @property
    def session(self) -> list[Listen]:
        """The open session, and the last 50 events in any case."""
        return self.events[min(self.opened, max(0, len(self.events) - 50)) :]

    def _play(self, event: Listen, track: str, _: str, at: int) -> None:
        self._hear(track, at, 1, 0)
        share = 1.0 if event.played_ms is None else event.played_ms / (event.duration_ms or 210_000)
        finished = share >= 0.5 if event.duration_ms else event.played_ms is None or event.played_ms >= 30_000
        if finished:
            self._raise(track, at, min(share, 1.0))

    def _skip(self, event: Listen, track: str, _: str, at: int) -> None:
        self._hear(track, at, 0, 1)
        if event.played_ms is None or event.played_ms < 30_000:
            self._lower(track, 0.5)

    def _hear(self, track: str, at: int, plays: int, skips: int) -> None:
        old_at, old_plays, old_skips = self.heard.get(track, [0, 0, 0])
        self.heard[track] = [max(at, old_at), old_plays + plays, old_skips + skips]
        if len(self.heard) > self.heard_max + self.heard_max // 8:
            for _, _, lost in self._by_last_heard()[: -self.heard_max]:
                del self.heard[lost]

    def _by_last_heard(self) -> list[tuple[int, bytes, str]]:
        return sorted((at, track.encode(), track) for track, (at, _, _) in self.heard.items())

    def _put(self, where: dict[str, int], name: str, at: int) -> bool:
        is_new = name not in where
        where.pop(name, None)
        where[name] = at
        _keep_newest(where, self.rated_max)
        return is_new

    def _raise(self, track: str, at: int, weight: float) -> None:
        if track not in self.dislikes:
            old, _ = self.anchors.pop(track, (0.0, 0))
            self.anchors[track] = (min(8.0, old + weight), at)
            _keep_newest(self.anchors, 64)

    def _lower(self, track: str, weight: float) -> None:
        if track in self.anchors:
            old, at = self.anchors[track]
            self.anchors[track] = (old - weight, at)
            if old - weight <= 0:
                del self.anchors[track]

    def _like(self, _: Listen, track: str, __: str, at: int) -> None:
        self.dislikes.pop(track, None)
        if self._put(self.likes, track, at):
            self._raise(track, at, 2.0)

    def _dislike(self, _: Listen, track: str, __: str, at: int) -> None:
        self.likes.pop(track, None)
        self.anchors.pop(track, None)
        self._put(self.dislikes, track, at)

    def _unrate(self, _: Listen, track: str, __: str, at: int) -> None:
        self.dislikes.pop(track, None)
        if self.likes.pop(track, None) is not None:
            self._lower(track, 2.0)

    def _save(self, _: Listen, track: str, __: str, at: int) -> None:
        if self._put(self.saves, track, at):
            self._raise(track, at, 2.0)

    def _unsave(self, _: Listen, track: str, __: str, at: int) -> None:
        if self.saves.pop(track, None) is not None:
            self._lower(track, 2.0)

    def _add_to_playlist(self, _: Listen, track: str, __: str, at: int) -> None:
        self._raise(track, at, 2.0)

    def _repeat(self, _: Listen, track: str, __: str, at: int) -> None:
        self._raise(track, at, 1.5)

    def _block_artist(self, _: Listen, __: str, artist: str, at: int) -> None:
        self._put(self.blocked, artist, at)

    def _unblock_artist(self, _: Listen, __: str, artist: str, at: int) -> None:
        self.blocked.pop(artist, None)

    def _follow_artist(self, _: Listen, __: str, artist: str, at: int) -> None:
        self._put(self.followed, artist, at)

    def _unfollow_artist(self, _: Listen, __: str, artist: str, at: int) -> None:
        self.followed.pop(artist, None)

    def report(self, user_id: str) -> dict[str, Any]:
        """What `person show` must say."""
        heard = [(track, *self.heard[track]) for _, _, track in self._by_last_heard()[-self.heard_max :]]
        return {
            "user_id": user_id,
            "events_counted": len(self.counted),
            "heard": [{"track_id": t, "plays": p, "skips": s, "last_at_ms": at} for t, at, p, s in heard],
            "likes": list(self.likes)[-self.rated_max :],
            "dislikes": list(self.dislikes)[-self.rated_max :],
            "saves": list(self.saves)[-self.rated_max :],
            "blocked_artists": list(self.blocked)[-self.rated_max :],
            "followed_artists": list(self.followed)[-self.rated_max :],
            "session": [_shown(event) for event in self.session],
        }

    def anchor_list(self) -> list[tuple[str, float, int]]:
        """The anchors that must be read."""
        return [(track, weight, at) for track, (weight, at) in self.anchors.items()][-64:]


SHOWN = (
    "event_id",
    "kind",
    "track_id",
    "artist_id",
    "occurred_at_ms",
    "played_ms",
    "duration_ms",
    "session_id",
    "request_id",
    "surface",
    "context",
)


def _shown(event: Listen) -> dict[str, Any]:
    return {name: getattr(event, name) for name in SHOWN}


def _keep_newest(where: dict[str, Any], keep: int) -> None:
    """Past an eighth too many, back to `keep`: when what is too much goes is part of the rules."""
    if len(where) > keep + keep // 8:
        for lost in list(where)[:-keep]:
            del where[lost]


@dataclass
class Oracle:
    """Everybody, and the plays of each track as (weight, time)."""

    heard_max: int
    rated_max: int
    seen: set[Place] = field(default_factory=set)
    counted: set[Place] = field(default_factory=set)
    in_popularity: set[Place] = field(default_factory=set)
    persons: dict[str, PersonOracle] = field(default_factory=dict)
    plays: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def step_one(self, one: Received[Listen]) -> bool:
        """Count for the person; whether the event counts, now or when it first came."""
        place, event = (one.partition, one.offset), one.record
        assert event is not None
        if place not in self.seen:
            self.seen.add(place)
            person = self.persons.setdefault(event.user_id, PersonOracle(self.heard_max, self.rated_max))
            if person.count(event):
                self.counted.add(place)
        return place in self.counted

    def step_two(self, one: Received[Listen]) -> None:
        """Count for the track."""
        place, event = (one.partition, one.offset), one.record
        assert event is not None
        if place in self.counted - self.in_popularity:
            self.in_popularity.add(place)
            if weight := _popularity(event):
                at = min(event.occurred_at_ms, one.timestamp_ms + 86_400_000)
                self.plays.setdefault(event.track_id or "", []).append((weight, at))

    def popular(self, half_life_ms: float, now_ms: int) -> dict[str, float]:
        """Track -> plays, halved for every half-life that they are old."""
        return {
            track: sum(weight * 0.5 ** ((now_ms - at) / half_life_ms) for weight, at in plays)
            for track, plays in self.plays.items()
        }


def _popularity(event: Listen) -> float:
    if event.kind in ("like", "save", "add_to_playlist"):
        return 2.0
    if event.kind == "repeat":
        return 1.5
    if event.kind not in ("play", "skip") or (event.kind == "skip" and (event.played_ms or 0) < 30_000):
        return 0.0
    return 1.0 if event.played_ms is None else min(1.0, event.played_ms / (event.duration_ms or 210_000))
