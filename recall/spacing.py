"""How far the tracks of one artist are apart in a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from recall.merge import Merged
from recall.tracks import CataloguedTrack

# Positions from one track of an artist to the next, where that can be.
APART = 4


def artists_of(track: CataloguedTrack) -> tuple[str, ...]:
    """The ids of a track's artists, their names where no id is known."""
    return track.artist_ids or tuple(artist.name for artist in track.artists if artist.name)


def spread(items: Sequence[Merged], apart: int = APART) -> list[Merged]:
    """The same items with no artist twice within `apart` positions, where that can be.

    Each position takes the first item that fits, unless an artist has so many left that theirs must come now; where
    nothing fits, the first.
    """
    waiting = [(one, artists_of(one.track)) for one in items]
    left = Counter(artist for _, artists in waiting for artist in artists)
    # A single track needs no room kept for it.
    several = {artist: count for artist, count in left.items() if count > 1}
    last: dict[str, int] = {}
    placed: list[Merged] = []
    while waiting:
        one, artists = waiting.pop(_next(waiting, several, last, len(placed), apart))
        for artist in artists:
            last[artist] = len(placed)
            if artist in several:
                several[artist] -= 1
                if several[artist] == 1:
                    del several[artist]
        placed.append(one)
    return placed


def _next(
    waiting: Sequence[tuple[Merged, tuple[str, ...]]],
    several: Mapping[str, int],
    last: Mapping[str, int],
    position: int,
    apart: int,
) -> int:
    most = max(several.values(), default=1)
    crowd = sum(count == most for count in several.values())
    pressed = crowd > 0 and (most - 1) * apart + crowd >= len(waiting)
    first = None
    for index, (_, artists) in enumerate(waiting):
        if all(position - last.get(artist, -apart) >= apart for artist in artists):
            if not pressed or any(several.get(artist) == most for artist in artists):
                return index
            first = index if first is None else first
    return first or 0
