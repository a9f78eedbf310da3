"""Tracks as the columns that the collaborative models read: one way, for training and for answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.items import Items, hashed_genres, keys_of
from recall.titles import title_key
from recall.tracks import CataloguedTrack


def columns_of(tracks: Sequence[CataloguedTrack], sounds: NDArray[np.float32]) -> Items:
    """The columns of tracks; `sounds` are their acoustic vectors, (n, 64), 0 where there is none."""
    unknown = float("nan")
    popularity = [unknown if track.popularity is None else track.popularity for track in tracks]
    return Items(
        artists=keys_of(first_name(track) for track in tracks),
        albums=keys_of(track.album_id for track in tracks),
        popularity=np.array(popularity, np.float32),
        years=np.array([year_of(track.release_date) for track in tracks], np.float32),
        genres=hashed_genres([track.genres for track in tracks]),
        sounds=sounds.astype(np.float16),
    )


def year_of(date: str | None) -> float:
    """A partial release date in years, a year alone as its middle; NaN when it is unknown.

    >>> year_of("2003-04-05"), year_of("2003")
    (2003.25, 2003.5)
    """
    if date is None:
        return float("nan")
    year, _, rest = date.partition("-")
    return int(year) + ((int(rest[:2]) - 1) / 12 if rest else 0.5)


def first_name(track: CataloguedTrack) -> str | None:
    """A key of the first artist; where a source joins several names, of what stands before the first comma or `&`.

    One artist has one key, whomever a track was made with, so that nobody is held out and trained on at once. That
    "Earth, Wind & Fire" is called "earth" does no harm.
    """
    artist = track.artists[0] if track.artists else None
    if artist is None or not artist.name:
        return artist.artist_id if artist else None
    return title_key(re.split(r"[,;&]", artist.name)[0]) or title_key(artist.name)
