"""What the driver publishes: numbered records of every kind, drawn from a seed."""

from __future__ import annotations

import json
import random
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from topics.records import RecommendationRequest, Seed
from topics.specs import CATALOG_ARTISTS, CATALOG_PLAYLISTS, CATALOG_TRACKS, LISTENING_EVENTS, REQUESTS, TopicSpec

USERS, ARTISTS, PLAYLISTS, FIRST_TRACKS = 30, 60, 20, 400
GENRES = ("jazz", "blues", "rock", "folk", "techno", "house", "soul", "metal")
HOUR_MS = 3_600_000
DENSE = ("danceability", "energy", "valence", "acousticness", "liveness", "speechiness", "instrumentalness")
KINDS = {
    "play": 50,
    "skip": 15,
    "like": 5,
    "dislike": 4,
    "unrate": 2,
    "save": 4,
    "unsave": 2,
    "add_to_playlist": 3,
    "repeat": 3,
    "block_artist": 1,
    "unblock_artist": 1,
    "follow_artist": 3,
    "unfollow_artist": 1,
}
POISON = "poison"


@dataclass(frozen=True)
class Mix:
    """What the load is made of, as shares of the records.

    Attributes:
        duplicates: events sent once more, byte for byte.
        poison: records that can never be applied.
        skewed: events whose clock is an hour ahead or behind; all others are up to a minute off.
        grows: whether tracks come and go, or only change.
    """

    duplicates: float = 0.03
    poison: float = 0.03
    skewed: float = 0.05
    grows: bool = True


@dataclass(frozen=True)
class Draft:
    """One record before it is sent; `poison` says what is wrong with it."""

    spec: TopicSpec
    key: bytes | None
    value: bytes | None
    poison: str | None = None


class Content:
    """Draws records; the same seed and the same calls draw the same. `label` keeps the ids of several drivers apart."""

    def __init__(self, seed: int, label: str = "") -> None:
        self._rng = random.Random(seed)
        self._label = label
        self._number = 0
        self.tracks = [f"t{n}" for n in range(FIRST_TRACKS)]
        self._recent: deque[Draft] = deque(maxlen=200)

    def first_catalogue(self) -> list[Draft]:
        """What is there before the run begins."""
        artists = [self._artist(f"a{n}") for n in range(ARTISTS)]
        playlists = [self._playlist(f"p{n}") for n in range(PLAYLISTS)]
        return [*artists, *(self._track(track_id) for track_id in self.tracks), *playlists]

    def event(self, mix: Mix) -> Draft:
        """One listening event."""
        if self._recent and self._rng.random() < mix.duplicates:
            return self._rng.choice(self._recent)
        kind = self._rng.choices(list(KINDS), list(KINDS.values()))[0]
        about = {"artist_id": self._artist_id()} if kind.endswith("_artist") else {"track_id": self._track_id()}
        record = {
            "event_id": f"e{self._label}{self._next()}",
            "user_id": f"u{self._rng.randrange(USERS)}",
            "kind": kind,
            "occurred_at_ms": _now_ms() + self._skew_ms(mix),
            "session_id": f"s{self._rng.randrange(5)}",
            "played_ms": self._rng.choice([None, 900, 29_999, 30_000, 150_000]) if kind in ("play", "skip") else None,
            "duration_ms": self._rng.choice([None, 180_000, 240_000]),
            **about,
        }
        draft = _draft(LISTENING_EVENTS, record)
        if self._rng.random() < mix.poison:
            return self._poisoned(draft, record)
        self._recent.append(draft)
        return draft

    def change(self, mix: Mix) -> Draft:
        """One change of the catalogue."""
        what = self._rng.random()
        if what < 0.12:
            return self._maybe_poisoned(self._artist(self._artist_id(), stamp=self._stamp()), mix)
        if what < 0.20:
            return self.playlist(mix)
        if what < 0.23:
            return Draft(*self._rng.choice([(CATALOG_ARTISTS, b"a1"), (CATALOG_PLAYLISTS, b"p1")]), None)
        if mix.grows and what < 0.33:
            return Draft(CATALOG_TRACKS, self._track_id().encode(), None)
        if mix.grows and what < 0.60:
            self.tracks.append(f"t{len(self.tracks)}")
            return self._track(self.tracks[-1], stamp=self._stamp())
        return self._maybe_poisoned(self._track(self._track_id(), stamp=self._stamp()), mix)

    def playlist(self, mix: Mix) -> Draft:
        """One change of a playlist."""
        return self._maybe_poisoned(self._playlist(f"p{self._rng.randrange(PLAYLISTS)}", stamp=self._stamp()), mix)

    def request(self, after: dict[str, int] | None) -> RecommendationRequest:
        """One request: from taste or from seeds, some of which are not in the catalogue."""
        seeds = [Seed(track_id=self._track_id()) for _ in range(self._rng.randrange(3))]
        return RecommendationRequest(
            request_id=f"r{self._label}{self._next()}",
            user_id=f"u{self._rng.randrange(USERS)}",
            limit=10,
            seeds=tuple(seeds) or None,
            after=after if self._rng.random() < 0.3 else None,
            deadline_ms=self._rng.choice([500, 1_000]),
            sent_at_ms=_now_ms(),
        )

    def bad_request(self) -> Draft:
        """A request that cannot be read."""
        return Draft(REQUESTS, b"u1", b'{"request_id": "bad", "limit": 0}', "limit")

    def _artist(self, artist_id: str, stamp: int | None = None) -> Draft:
        genres = self._rng.sample(GENRES, self._rng.randrange(3))
        record = {"artist_id": artist_id, "name": f"Artist {artist_id}", "genres": genres, "updated_at_ms": stamp}
        return _draft(CATALOG_ARTISTS, {**record, "popularity": self._rng.randrange(101)})

    def _playlist(self, playlist_id: str, stamp: int | None = None) -> Draft:
        tracks = self._rng.sample(self.tracks, self._rng.randrange(1, 20))
        record = {"playlist_id": playlist_id, "name": playlist_id, "track_ids": tracks, "updated_at_ms": stamp}
        return _draft(CATALOG_PLAYLISTS, {**record, "followers": self._rng.randrange(1000)})

    def _track(self, track_id: str, stamp: int | None = None) -> Draft:
        artists = [{"artist_id": self._artist_id(), "name": "A"} for _ in range(self._rng.choice([1, 1, 1, 2]))]
        record = {
            "track_id": track_id,
            "title": f"Title {track_id} edition {self._next()}",
            "artists": [*artists, *([{"artist_id": None, "name": "Unknown"}] if self._rng.random() < 0.1 else [])],
            "album": {
                "album_id": f"al{track_id}",
                "name": "Album",
                "release_date": self._rng.choice(["2003", "2024-02"]),
            },
            "isrc": f"ISRC{track_id}",
            "duration_ms": self._rng.randrange(60_000, 400_000),
            "popularity": self._rng.choice([None, 0, 12.5, 74]),
            "explicit": self._rng.choice([None, True, False]),
            "markets": self._rng.choice([None, ["SE", "GB"]]),
            "genres": self._rng.sample(GENRES, self._rng.randrange(3)),
            "features": self._features(),
            "updated_at_ms": stamp,
        }
        return _draft(CATALOG_TRACKS, record)

    def _features(self) -> dict[str, Any] | None:
        if self._rng.random() < 0.08:
            return None
        known: dict[str, Any] = {name: round(self._rng.random(), 3) for name in DENSE}
        if self._rng.random() < 0.05:
            known["valence"] = None
        return {
            **known,
            "key": self._rng.choice([None, -1, *range(12)]),
            "mode": self._rng.choice([None, 0, 1]),
            "tempo": self._rng.choice([None, 0, round(self._rng.uniform(55, 220), 1)]),
            "time_signature": self._rng.choice([None, 3, 4, 5]),
            "loudness": -6.5,
        }

    def _stamp(self) -> int | None:
        """Mostly the clock; some of an hour ago, so that they must not overwrite, and some records have none."""
        return self._rng.choices([_now_ms(), _now_ms() - HOUR_MS, None], [80, 12, 8])[0]

    def _skew_ms(self, mix: Mix) -> int:
        if self._rng.random() < mix.skewed:
            return self._rng.choice([-HOUR_MS, HOUR_MS])
        return self._rng.randrange(-60_000, 60_000)

    def _maybe_poisoned(self, draft: Draft, mix: Mix) -> Draft:
        return self._poisoned(draft, json.loads(draft.value or b"")) if self._rng.random() < mix.poison else draft

    def _poisoned(self, draft: Draft, record: dict[str, Any]) -> Draft:
        """The record with something wrong that no retry will mend."""
        whole = draft.value or b""
        ways = {
            "cut short": (draft.key, whole[:-1]),
            "wrong key": (b"somebody else", whole),
            "no id": (draft.key, json.dumps({**record, draft.spec.key: None}).encode()),
            "not finite": (draft.key, whole[:-1] + b', "popularity": NaN}'),
            "not UTF-8": (draft.key, whole.replace(b'"', b'"\xff', 1)),
        }
        why = self._rng.choice(list(ways))
        return Draft(draft.spec, *ways[why], why)

    def _track_id(self) -> str:
        # Half of all goes to forty tracks, so that the same track is played, changed and withdrawn again and again.
        return self._rng.choice(self.tracks[:40] if self._rng.random() < 0.5 else self.tracks)

    def _artist_id(self) -> str:
        return f"a{self._rng.randrange(ARTISTS)}"

    def _next(self) -> int:
        self._number += 1
        return self._number


def _draft(spec: TopicSpec, record: dict[str, Any]) -> Draft:
    return Draft(spec, str(record[spec.key]).encode(), json.dumps(record).encode())


def _now_ms() -> int:
    return int(time.time() * 1000)
