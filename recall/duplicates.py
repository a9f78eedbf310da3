"""One recording once, however many releases it came on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from recall.filters import HasTrack
from recall.titles import title_key
from recall.tracks import CataloguedTrack

T = TypeVar("T", bound=HasTrack)

# Editions of one recording; "live", "acoustic", "remix" are recordings of their own and stay in the title.
_ALIKE = r"remaster(ed)?|deluxe|bonus track|album version|single version|mono|stereo"
_EDITION = re.compile(
    rf"[\(\[][^\)\]]*\b({_ALIKE}|radio edit|explicit|clean|feat\.?|ft\.?|featuring|with)\b[^\)\]]*[\)\]]"
    rf"|\s[-–—]\s[^-–—]*\b({_ALIKE})\b.*$"
    r"|\s\b(feat\.|ft\.|featuring)\s.*$",
    re.IGNORECASE,
)
SAME_LENGTH_MS = 3_000


def recording_key(track: CataloguedTrack) -> tuple[str, str]:
    """What all releases of one recording have in common: the title without its edition, and the first artist."""
    first = track.artists[0] if track.artists else None
    artist = (first.name or first.artist_id or "") if first else ""
    return _work_key(track.title), title_key(artist)


@lru_cache(50_000)
def _work_key(title: str) -> str:
    return title_key(_EDITION.sub("", title))


def same_length(one: CataloguedTrack, other: CataloguedTrack) -> bool:
    """Whether two durations fit one recording; an unknown one fits any."""
    if one.duration_ms is None or other.duration_ms is None:
        return True
    return abs(one.duration_ms - other.duration_ms) <= SAME_LENGTH_MS


class Recordings:
    """The recordings met so far."""

    def __init__(self) -> None:
        self._isrcs: set[str] = set()
        self._by_key: dict[tuple[str, str], list[CataloguedTrack]] = {}

    def add(self, track: CataloguedTrack) -> bool:
        """Remember the track's recording; False when it was there already."""
        isrc = (track.isrc or "").replace("-", "").upper()
        if isrc and isrc in self._isrcs:
            return False
        key = recording_key(track)
        met = self._by_key.setdefault(key, [])
        if key[0] and any(same_length(track, other) for other in met):
            return False
        met.append(track)
        if isrc:
            self._isrcs.add(isrc)
        return True


def one_release_each(candidates: Iterable[T], most: int, already: Sequence[CataloguedTrack] = ()) -> list[T]:
    """The first `most` candidates without further releases of a recording; none of those `already` there."""
    recordings = Recordings()
    for track in already:
        recordings.add(track)
    return list(islice((candidate for candidate in candidates if recordings.add(candidate.track)), most))
