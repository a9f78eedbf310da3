"""What the owner of an index has read and need not read again until it is written."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from recall.index.points import track_of_doc
from recall.index.protocol import TrackFilter
from recall.tracks import ACOUSTIC, CataloguedTrack, IndexedTrack, Vector

# Some 2.5 kB each.
TRACKS_MAX = 40_000
ORDERS_MAX = 5_000
# Some 0.9 kB each.
ENCODED_MAX = 300_000

# A field, and of which tracks.
Order = tuple[str, TrackFilter]
# What orders without an artist or a genre are found by.
ANY = ""


class Kept:
    """Tracks by point, the longest kept forgotten first.

    Right only where every write of the index passes through `forget`.
    """

    def __init__(self, tracks_max: int = TRACKS_MAX) -> None:
        self._tracks_max = tracks_max
        self._tracks: dict[int, IndexedTrack] = {}
        # The same by id: to find a point by its track's id takes as long again as to find the track by its point.
        self._by_id: dict[str, IndexedTrack] = {}

    def tracks(self, points: Iterable[int]) -> dict[int, IndexedTrack]:
        """Those of the points that are kept."""
        return {number: one for number in points if (one := self._tracks.get(number)) is not None}

    def of(self, track_ids: Iterable[str]) -> dict[str, IndexedTrack]:
        """Those of the tracks that are kept, by id."""
        return {track_id: one for track_id in track_ids if (one := self._by_id.get(track_id)) is not None}

    def keep(self, read: Mapping[int, IndexedTrack]) -> None:
        """Keep what was read."""
        self._tracks.update(read)
        self._by_id.update((one.track.track_id, one) for one in read.values())
        self.forget(_oldest(self._tracks, self._tracks_max))

    def forget(self, points: Iterable[int]) -> None:
        """These points are about to be written."""
        for number in points:
            if (one := self._tracks.pop(number, None)) is not None:
                del self._by_id[one.track.track_id]


class KeptOrders:
    """The greatest of a field, by what was asked: questions that come again and again.

    Right only where the words of every track that is written pass through `forget`, as it was and as it will be.
    """

    def __init__(self) -> None:
        self._orders: dict[Order, tuple[Sequence[CataloguedTrack], int]] = {}
        self._by_word: dict[str, set[Order]] = {}

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._orders)

    def get(self, asked: Order, limit: int) -> Sequence[CataloguedTrack] | None:
        """What was found when it was asked before, unless more are wanted now and there may be more."""
        found, wanted = self._orders.get(asked, ((), 0))
        return found if limit <= wanted or len(found) < wanted else None

    def keep(self, asked: Order, found: Sequence[CataloguedTrack], wanted: int) -> None:
        """Keep what was found when `wanted` tracks were asked for."""
        if len(self._orders) >= ORDERS_MAX:
            self.forget_all()
        self._orders[asked] = found, wanted
        for word in _words_asked(asked):
            self._by_word.setdefault(word, set()).add(asked)

    def forget(self, words: Iterable[str]) -> None:
        """Tracks of these artists and genres are about to be written, or were before."""
        for word in words:
            for asked in tuple(self._by_word.get(word, ())):
                del self._orders[asked]
                for other in _words_asked(asked):
                    self._by_word[other].discard(asked)
                    if not self._by_word[other]:
                        del self._by_word[other]

    def forget_all(self) -> None:
        """Nobody knows what is written."""
        self._orders.clear()
        self._by_word.clear()


def _words_asked(asked: Order) -> set[str]:
    _, where = asked
    return {*where.artists_any, *where.genres_any} or {ANY}


def words_of(track: CataloguedTrack) -> set[str]:
    """What orders that the track may stand in are found by."""
    return {*track.artist_ids, *track.genres, ANY}


class ByArtist:
    """Points by artist, the most popular first; some 0.1 kB for each artist of a track."""

    def __init__(self) -> None:
        self._points: dict[str, list[tuple[float, int]]] = {}

    def add(self, number: int, track: CataloguedTrack) -> None:
        """A track was stored."""
        for artist_id in set(track.artist_ids):
            insort(self._points.setdefault(artist_id, []), (-(track.popularity or 0.0), number))

    def remove(self, number: int, track: CataloguedTrack) -> None:
        """It is not stored any more as it was."""
        place = -(track.popularity or 0.0), number
        for artist_id in set(track.artist_ids):
            points = self._points.get(artist_id, [])
            at = bisect_left(points, place)
            if points[at : at + 1] == [place]:
                del points[at]
            if not points:
                self._points.pop(artist_id, None)

    def best(self, limit: int, of: Iterable[str], but: Iterable[str] = ()) -> list[int]:
        """At most so many points of any of these artists, and of none of the others, the most popular first."""
        barred = {number for artist_id in but for _, number in self._points.get(artist_id, ())}
        most = None if barred else limit
        found = {place for artist_id in of for place in self._points.get(artist_id, ())[:most]}
        return [number for _, number in sorted(found) if number not in barred][:limit]


class Encoded:
    """Tracks as they are stored, by point, in a third of the room that they take to work with.

    To decode one takes a microsecond, to read it from the engine fifteen: an answer looks at hundreds.

    Attributes:
        whole: whether every stored track is here, so that one that is not here is not stored either.
        by_artist: of those that are here.
    """

    def __init__(self, most: int = ENCODED_MAX) -> None:
        self.whole = False
        self.by_artist = ByArtist()
        self._left_out = False
        self._most = most
        self._tracks: dict[int, tuple[str, Vector | None]] = {}

    def __contains__(self, number: int) -> bool:
        """Whether the track is here."""
        return number in self._tracks

    @property
    def is_full(self) -> bool:
        """Whether another would soon take the place of one that is here."""
        return len(self._tracks) >= self._most - self._most // 10

    def track(self, number: int) -> CataloguedTrack | None:
        """One of them, if it is here."""
        found = self._tracks.get(number)
        return None if found is None else track_of_doc(found[0])

    def tracks(self, points: Iterable[int]) -> dict[int, IndexedTrack]:
        """Those of the points that are here, each with its acoustic vector, if it has one."""
        found = ((number, self._tracks.get(number)) for number in points)
        return {number: _decoded(*one) for number, one in found if one is not None}

    def all_read(self) -> None:
        """Every stored track was here at some time."""
        self.whole = not self._left_out

    def leave_out(self) -> None:
        """A stored track is not here any more, or nobody knows whether one is."""
        self.whole, self._left_out = False, True
        self.by_artist = ByArtist()

    def may_be_stored(self, points: Iterable[int]) -> list[int]:
        """Those of the points that are not known to be new."""
        return [number for number in points if not self.whole or number in self._tracks]

    def keep(self, number: int, doc: str, track: CataloguedTrack, acoustic: Vector | None) -> None:
        """Keep one as it is stored, and as it is worked with."""
        self.forget([number])
        self._tracks[number] = doc, acoustic
        if not self._left_out:
            self.by_artist.add(number, track)
        if len(self._tracks) > self._most:
            self.leave_out()
            for other in _oldest(self._tracks, self._most):
                del self._tracks[other]

    def forget(self, points: Iterable[int]) -> None:
        """These points are about to be written."""
        for number in points:
            found = self._tracks.pop(number, None)
            if found is not None and not self._left_out:
                self.by_artist.remove(number, track_of_doc(found[0]))


def _oldest(kept: dict[int, Any], most: int) -> list[int]:
    """The oldest tenth once there are too many: to look for the first of a dict, its gone ones are passed."""
    return list(islice(kept, len(kept) - most + most // 10)) if len(kept) > most else []


def _decoded(doc: str, acoustic: Vector | None) -> IndexedTrack:
    return IndexedTrack(track_of_doc(doc), {} if acoustic is None else {ACOUSTIC: acoustic})
