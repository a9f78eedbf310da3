"""One recording once, however many releases it came on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

from msgspec.structs import replace

from recall.merge import Merged
from recall.titles import guests_of, names_in, read_title, title_key
from recall.tracks import CataloguedTrack, HasTrack
from topics.records import ArtistRef, Features

T = TypeVar("T", bound=HasTrack)
V = TypeVar("V")

# Releases of one recording differ by a fade and a second of silence.
SAME_LENGTH_MS = 3_000
# A radio edit leaves out no more of a recording than this share.
EDITED_SHARE = 0.5
# Mean differences of audio features. Beyond UNLIKE two recordings that share title, artist and length, or of which one
# says that it is an edition, are still two. Within ALIKE one of another length is an edit that does not say so; within
# GUEST one that bills a guest is the same as one that does not; within EQUAL it is one whoever is billed.
UNLIKE, ALIKE, GUEST, EQUAL = 0.12, 0.045, 0.02, 0.01

_COMPARED = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "speechiness", "liveness")


def same_recording(one: CataloguedTrack, other: CataloguedTrack) -> bool:
    """Whether two tracks are releases of one recording.

    An equal ISRC says so. Else their titles must agree but for the edition, and then either artist and length agree
    (what is not known does not disagree), or they sound so alike that one is an edit of the other.
    """
    if (isrc := isrc_of(one)) is not None and isrc == isrc_of(other):
        return True
    return read_title(one.title).stem == read_title(other.title).stem != "" and _same_of_title(one, other)


def _same_of_title(one: CataloguedTrack, other: CataloguedTrack) -> bool:
    difference = unlikeness(one.features, other.features)
    if not _share_artist(one.artists, other.artists):
        return difference is not None and difference <= EQUAL and _same_length(one, other)
    if difference is None:
        return _same_length(one, other)
    return difference <= _bound(one, other) and (_same_length(one, other) or _is_edit(one, other))


def _bound(one: CataloguedTrack, other: CataloguedTrack) -> float:
    """How far two releases of one recording that share title and artist may differ."""
    if not (_guests(one) <= _heard(other) and _guests(other) <= _heard(one)):
        return GUEST
    says_edition = read_title(one.title).says_edition or read_title(other.title).says_edition
    return UNLIKE if says_edition or _same_length(one, other) else ALIKE


def _guests(track: CataloguedTrack) -> frozenset[str]:
    named = (guest for artist in track.artists if artist.name for guest in guests_of(artist.name))
    return read_title(track.title).guests.union(named)


def _heard(track: CataloguedTrack) -> frozenset[str]:
    return read_title(track.title).guests | _names(track.artists)


def isrc_of(track: CataloguedTrack) -> str | None:
    """The track's ISRC without hyphens, `None` when it has none."""
    return _plain(track.isrc) if track.isrc else None


@lru_cache(100_000)
def _plain(isrc: str) -> str | None:
    return isrc.replace("-", "").strip().upper() or None


def unlikeness(one: Features | None, other: Features | None) -> float | None:
    """Mean difference of the audio features, 0..1, the tempo's counted in octaves; `None` when too few are known.

    Compared by features and not by vectors: an embedding drops what tells two recordings of a song apart, such as the
    exact tempo, and another version of it would make other recordings.
    """
    if one is None or other is None:
        return None
    pairs = [(getattr(one, name), getattr(other, name)) for name in _COMPARED]
    gaps: list[float] = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    if len(gaps) < len(_COMPARED):
        return None
    if one.tempo and other.tempo:
        octaves = abs(math.log2(one.tempo / other.tempo))
        gaps.append(min(octaves, abs(octaves - 1)))
    return sum(gaps) / len(gaps)


def _same_length(one: CataloguedTrack, other: CataloguedTrack) -> bool:
    if one.duration_ms is None or other.duration_ms is None:
        return True
    return abs(one.duration_ms - other.duration_ms) <= SAME_LENGTH_MS


def _is_edit(one: CataloguedTrack, other: CataloguedTrack) -> bool:
    shorter, longer = sorted((one.duration_ms or 0, other.duration_ms or 0))
    return shorter >= EDITED_SHARE * longer


def _share_artist(ones: tuple[ArtistRef, ...], others: tuple[ArtistRef, ...]) -> bool:
    return not (ones or others) or not _names(ones).isdisjoint(_names(others))


@lru_cache(50_000)
def _names(artists: tuple[ArtistRef, ...]) -> frozenset[str]:
    """Ids and names of the artists, and the names within a name that bills several."""
    names = [artist.name for artist in artists if artist.name]
    billed = [part for name in names for part in names_in(name)]
    ids = [f"id:{artist.artist_id}" for artist in artists if artist.artist_id]
    return frozenset((*ids, *map(title_key, names), *billed))


class Recordings(Generic[V]):
    """What is held of recordings, found by any of their releases."""

    def __init__(self) -> None:
        self._by_isrc: dict[str, V] = {}
        self._by_stem: dict[str, list[tuple[CataloguedTrack, V]]] = {}

    def find(self, track: CataloguedTrack) -> V | None:
        """What is held of the track's recording, `None` when nothing."""
        if not self._by_stem:
            return None
        if (isrc := isrc_of(track)) is not None and isrc in self._by_isrc:
            return self._by_isrc[isrc]
        for other, value in self._by_stem.get(read_title(track.title).stem, ()):
            if _same_of_title(track, other):
                return value
        return None

    def add(self, track: CataloguedTrack, value: V) -> None:
        """Hold something of the track's recording."""
        self._by_stem.setdefault(read_title(track.title).stem, []).append((track, value))
        if (isrc := isrc_of(track)) is not None:
            self._by_isrc.setdefault(isrc, value)


def first_of_each(candidates: Iterable[T], most: int, already: Iterable[CataloguedTrack] = ()) -> list[T]:
    """The first `most` candidates without further releases of a recording; none of those `already` there."""
    recordings: Recordings[bool] = Recordings()
    for track in already:
        recordings.add(track, True)
    found: list[T] = []
    for one in candidates:
        if len(found) == most:
            break
        if recordings.find(one.track) is None:
            recordings.add(one.track, True)
            found.append(one)
    return found


def one_release_each(candidates: Iterable[Merged], most: int) -> list[Merged]:
    """The first `most` recordings, each as its most popular release.

    A recording has, of every channel, the best rank of its releases.
    """
    recordings: Recordings[list[Merged]] = Recordings()
    found: list[list[Merged]] = []
    for one in candidates:
        releases = recordings.find(one.track)
        if releases is None:
            if len(found) == most:
                break
            releases = []
            found.append(releases)
        releases.append(one)
        recordings.add(one.track, releases)
    return [_recording(releases) for releases in found]


def _recording(releases: Sequence[Merged]) -> Merged:
    if len(releases) == 1:
        return releases[0]
    ranks: dict[str, int] = {}
    contributions: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for one in releases:
        for name, rank in one.ranks.items():
            if rank < ranks.get(name, rank + 1):
                ranks[name], contributions[name] = rank, one.contributions[name]
                reasons[name] = one.reasons[name]
    because = tuple(dict.fromkeys(start for one in releases for start in one.because))
    most_popular = max(releases, key=lambda one: one.track.popularity or 0.0).track
    return replace(
        releases[0],
        track=most_popular,
        ranks=ranks,
        contributions=contributions,
        reasons=reasons,
        because=because[:5],
    )
