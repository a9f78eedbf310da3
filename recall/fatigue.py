"""What a listener has had enough of for now: an artist, an album, a track; and what they want once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.bandit import Array
from recall.tracks import CataloguedTrack

# So much of one artist, or of one album, is welcome; each hearing fades as others come after it.
WELCOME = 2.0
OF_ARTIST, OF_ALBUM = -0.05, -0.04
# More of them tires no further.
TIRED = 4.0
# A track heard just now, and one that the person has asked for again or finished twice.
JUST_HEARD, WANTED = -0.3, 0.15
FATIGUE, REPEAT = "session_fatigue", "session_repeat"


class Hearing(NamedTuple):
    """One event about a track.

    Attributes:
        verdict: how it speaks for the track, -1..1.
        strength: how near it is, 0..1; 1 for the latest.
        heard: whether the track was played or skipped, or else judged.
        again: whether it was asked for once more.
    """

    track: CataloguedTrack
    verdict: float
    strength: float
    heard: bool
    again: bool


@dataclass(frozen=True)
class Fatigue:
    """What the last hearings add to scores; what is not named adds nothing.

    Attributes:
        artists: artist id -> at most 0; `albums` the same.
        tracks: track id -> above 0 when it is wanted once more, below when it bores.
    """

    artists: Mapping[str, float] = field(default_factory=dict)
    albums: Mapping[str, float] = field(default_factory=dict)
    tracks: Mapping[str, float] = field(default_factory=dict)

    def terms(self, candidates: Sequence[CataloguedTrack]) -> dict[str, Array]:
        """What it adds to each candidate's score, each (N,): `session_fatigue` <= 0 and `session_repeat`."""
        found: dict[str, Array] = {}
        if self.artists or self.albums:
            artists, albums = self.artists, self.albums
            found[FATIGUE] = np.array(
                [least_of(one, artists) + albums.get(one.album_id or "", 0.0) for one in candidates]
            )
        if self.tracks:
            found[REPEAT] = np.array([self.tracks.get(one.track_id, 0.0) for one in candidates])
        return found


FRESH = Fatigue()


def least_of(track: CataloguedTrack, by_artist: Mapping[str, float]) -> float:
    """The least of what its artists have, each 0 where it has nothing; 0 for a track without one."""
    return min([by_artist.get(one.artist_id or "", 0.0) for one in track.artists], default=0.0)


def fatigue(hearings: Sequence[Hearing]) -> Fatigue:
    """What hearings leave behind, the latest last."""
    artists: Counter[str] = Counter()
    albums: Counter[str] = Counter()
    for one in hearings:
        if one.heard:
            for artist_id in one.track.artist_ids:
                artists[artist_id] += one.strength  # type: ignore[assignment]
            if one.track.album_id:
                albums[one.track.album_id] += one.strength  # type: ignore[assignment]
    by_track: dict[str, list[Hearing]] = {}
    for one in hearings:
        by_track.setdefault(one.track.track_id, []).append(one)
    return Fatigue(
        _tired(artists, OF_ARTIST),
        _tired(albums, OF_ALBUM),
        {track_id: term for track_id, own in by_track.items() if (term := repeated(own))},
    )


def repeated(own: Sequence[Hearing]) -> float:
    """What hearings of one track, the latest last, say of one more: wanted when asked for, or finished twice.

    One that was moved on from the last time is not wanted, however often it was finished before.
    """
    heard = [one for one in own if one.heard]
    finished = sum(one.verdict > 0.5 for one in heard)
    moved_on = bool(heard) and heard[-1].verdict < 0
    if not moved_on and (finished >= 2 or any(one.again for one in own)):
        return WANTED * own[-1].strength
    return JUST_HEARD * heard[-1].strength if heard else 0.0


def _tired(heard: Mapping[str, float], each: float) -> dict[str, float]:
    return {name: each * over for name, over in _over(heard.items()) if over > 0}


def _over(heard: Iterable[tuple[str, float]]) -> Iterable[tuple[str, float]]:
    return ((name, min(often, WELCOME + TIRED) - WELCOME) for name, often in heard)
