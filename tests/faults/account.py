"""Compares what the system holds with what it must hold, value by value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.expected import Expected, Place, document, genres_of, payload
from tests.faults.found import IndexedPoint, State
from tests.faults.sounds import vectors

RATED = ("likes", "dislikes", "saves", "blocked_artists", "followed_artists", "session")


@dataclass(frozen=True)
class Difference:
    """A value that is not what it must be.

    Attributes:
        what: the kind of value.
        lost: records without which it could be what it is.
        twice: records that counted once more than they should.
    """

    what: str
    name: str
    expected: Any
    got: Any
    lost: float = 0
    twice: float = 0

    def __str__(self) -> str:
        """One line."""
        return f"{self.what} {self.name}: expected {self.expected!r:.300}, got {self.got!r:.300}"


def _counted(what: str, name: str, expected: float, got: float) -> Iterator[Difference]:
    if not math.isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9):
        yield Difference(what, name, expected, got, max(0.0, expected - got), max(0.0, got - expected))


def _same(what: str, name: str, expected: Any, got: Any, *, lost: int = 0) -> Iterator[Difference]:
    if expected != got:
        yield Difference(what, name, expected, got, lost=lost)


def listening(expected: Expected, state: State) -> Iterator[Difference]:
    """Persons, popularity and how far the partitions have counted."""
    persons = expected.listening.persons
    for user in sorted(persons.keys() | state.persons.keys()):
        if user not in persons:
            yield Difference("person", user, None, state.persons[user], twice=state.persons[user]["events_counted"])
            continue
        must = persons[user].report(user)
        has = state.persons.get(user) or {**dict.fromkeys(must, ()), "events_counted": 0}
        yield from _counted("events counted of", user, must["events_counted"], has["events_counted"])
        yield from _heard(user, must["heard"], has["heard"])
        for name in RATED:
            yield from _same(f"{name} of", user, must[name], has[name])
        yield from _anchors(user, persons[user].anchor_list(), state.anchors.get(user, []))
    plays = expected.listening.popular(state.half_life_ms, int(state.counted_at_ms))
    for track in sorted(plays.keys() | state.popularity.keys()):
        yield from _counted("popularity of", track, plays.get(track, 0.0), state.popularity.get(track, 0.0))
    yield from _same("through", "all partitions", expected.through, state.through)


def _heard(user: str, must: Sequence[dict[str, Any]], has: Sequence[dict[str, Any]]) -> Iterator[Difference]:
    wanted, got = ({one["track_id"]: one for one in some} for some in (must, has))
    nothing = {"plays": 0, "skips": 0, "last_at_ms": 0}
    for track in sorted(wanted.keys() | got.keys()):
        one, other = wanted.get(track, nothing), got.get(track, nothing)
        for what in ("plays", "skips"):
            yield from _counted(f"{what} of {track} by", user, one[what], other[what])
        yield from _same(f"last time of {track} by", user, one["last_at_ms"], other["last_at_ms"])


def _anchors(
    user: str, must: Sequence[tuple[str, float, int]], has: Sequence[tuple[str, float, int]]
) -> Iterator[Difference]:
    rounded = [[(track, round(weight, 9), at) for track, weight, at in some] for some in (must, has)]
    yield from _same("anchors of", user, *rounded)


def catalogue(
    expected: Expected, state: State, index: Mapping[str, IndexedPoint], weights: Path
) -> Iterator[Difference]:
    """Artists and playlists in Redis, and every point of the index."""
    for what, must, has in (
        ("artist", expected.artists, state.artists),
        ("playlist", expected.playlists, state.playlists),
    ):
        for name in sorted(must.keys() | has.keys()):
            yield from _same(what, name, must.get(name), has.get(name), lost=1)
    sounds = vectors({track_id: one.record for track_id, one in expected.tracks.items()}, weights)
    for track_id in sorted(expected.tracks.keys() | index.keys()):
        standing, point = expected.tracks.get(track_id), index.get(track_id)
        if standing is None or point is None:
            yield Difference("track", track_id, standing and standing.record, point and point.document, lost=1)
            continue
        genres = genres_of(standing.record, expected.artists)
        *kept, added_ms = point.document
        yield from _same("track", track_id, document(standing.record, genres), kept, lost=1)
        if added_ms not in (0, *standing.came_ms):
            yield Difference("news time of", track_id, standing.came_ms, added_ms)
        yield from _payload(track_id, {**payload(standing.record, genres), "added_at_ms": added_ms}, point.payload)
        yield from _vector(track_id, sounds.get(track_id), point.vector)


def _payload(track_id: str, must: dict[str, Any], has: Mapping[str, Any]) -> Iterator[Difference]:
    # A single keyword is kept bare.
    listed = {
        name: [value] if name in ("genres", "artist_ids") and isinstance(value, str) else value
        for name, value in has.items()
    }
    for name in sorted(must.keys() | listed.keys()):
        yield from _same(f"payload {name} of", track_id, must.get(name), listed.get(name))


def _vector(track_id: str, must: Any, has: Sequence[float] | None) -> Iterator[Difference]:
    if (must is None) != (has is None) or (has is not None and not np.allclose(must, has, atol=1e-5, rtol=0)):
        yield Difference(
            "vector of", track_id, must if must is None else must[:3].tolist(), has and list(has[:3]), lost=1
        )


@dataclass(frozen=True)
class SetAside:
    """Dead letters: the places of the records that they keep, each as often as it is kept."""

    places: tuple[Place, ...]
    differences: tuple[Difference, ...]


def set_aside(expected: Expected, letters: Sequence[Any]) -> SetAside:
    """Whether exactly what can never be applied was set aside, byte for byte."""
    found: list[Difference] = []
    places: list[Place] = []
    for letter in letters:
        headers = dict(letter.headers)
        place = headers["dead_topic"].decode(), int(headers["dead_partition"]), int(headers["dead_offset"])
        places.append(place)
        origin = expected.dead.get(place)
        if origin is None:
            found.append(Difference("dead letter", str(place), None, letter.value, lost=1))
            continue
        came = [(name, value) for name, value in letter.headers if not name.startswith("dead_")]
        found += _same("dead letter", str(place), (origin.key, origin.value), (letter.key, letter.value), lost=1)
        found += _same("headers of dead letter", str(place), list(origin.headers), came)
    missing = expected.dead.keys() - set(places)
    found += [
        Difference("dead letter", str(place), expected.dead[place].value, None, lost=1) for place in sorted(missing)
    ]
    return SetAside(tuple(places), tuple(found))


def lost_and_twice(differences: Sequence[Difference]) -> tuple[int, int]:
    """How many records are behind the differences: of several views of the same events the one that tells of most."""
    views: dict[str, tuple[float, float]] = {}
    for one in differences:
        view = one.what.split()[0]
        lost, twice = views.get(view, (0.0, 0.0))
        views[view] = lost + one.lost, twice + one.twice
    listening = [views.pop(view, (0.0, 0.0)) for view in ("events", "plays", "skips", "popularity")]
    both = [(max(lost for lost, _ in listening), max(twice for _, twice in listening)), *views.values()]
    return math.ceil(sum(lost for lost, _ in both)), math.ceil(sum(twice for _, twice in both))


def kept(log: Mapping[str, Sequence[Any]], acknowledged: Sequence[tuple[Any, bytes | None]]) -> Iterator[Difference]:
    """Whether Kafka still has what it acknowledged, where it said; compaction may have dropped what was replaced."""
    there = {(one.topic, one.partition, one.offset): one.value for records in log.values() for one in records}
    for at, value in acknowledged:
        place = at.topic, at.partition, at.offset
        if place not in there and not at.topic.startswith("catalog."):
            yield Difference("record", str(place), value, None, lost=1)
        elif there.get(place, value) != value:
            yield Difference("record", str(place), value, there[place], lost=1)
