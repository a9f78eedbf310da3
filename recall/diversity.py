"""Not too much of one artist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from recall.merge import Merged

PER_ARTIST = 3


def cap_per_artist(ranked: Sequence[Merged], limit: int, per_artist: int | None) -> list[Merged]:
    """The first `limit`, with at most so many of one artist.

    Without a number in the request the cap is `PER_ARTIST` and gives way before the list stays short: what it held
    back fills the end.
    """
    most = per_artist or PER_ARTIST
    counts: Counter[str] = Counter()
    taken: list[Merged] = []
    held_back: list[Merged] = []
    for one in ranked:
        if len(taken) == limit:
            break
        artists = one.track.artist_ids or tuple(artist.name for artist in one.track.artists if artist.name)
        if any(counts[artist] >= most for artist in artists):
            held_back.append(one)
            continue
        counts.update(artists)
        taken.append(one)
    return taken if per_artist else [*taken, *held_back][:limit]
