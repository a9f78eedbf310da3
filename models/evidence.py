"""What speaks for each candidate, as the features of the prior."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.collaborative import Rows, Scores
from models.holding import Found, Holding
from models.items import NOBODY, Items

# Ranks beyond say no more.
LAST_RANK = 2_000


def evidence(held: Holding, rows: Rows, items: Items) -> dict[str, Scores]:
    """By name, (C,) of candidates, of which those that came after the tables have the row -1.

    Scores and ranks of every kind of evidence, the track itself, and the track beside the tracks that are held. Nothing
    here tells whether something is unknown of a track, and how it sounds counts by its place alone: either can betray
    the source that a track came from, and so whether it is there because a playlist names it.
    """
    return {**_of_artists(held, rows, items), **_of_lists(held, rows, items), **_beside(held, items)}


def _of_artists(held: Holding, rows: Rows, items: Items) -> dict[str, Scores]:
    tables = held.tables
    known, safe = rows >= 0, np.maximum(rows, 0)
    numbers = tables.numbers_of(items)
    number = np.maximum(numbers, 0)

    def of_artist(values: NDArray[Any]) -> Scores:
        return np.where(numbers >= 0, values[number] if len(values) else 0, 0).astype(np.float32)

    score, interest = of_artist(held.artist_scores), of_artist(held.artist_interest)
    tracks = of_artist(tables.sizes)
    strength = np.where(known, tables.strength[safe], 0.1)
    return {
        "artist_score": score,
        "artist_rank": ranks(score),
        "artist_held": interest,
        "artist_held_share": interest / max(held.interest.sum(), 1e-9),
        "artist_and_strength": np.log(score * strength + 1e-6),
        "strength": strength,
        "place_within_artist": np.where(known, tables.place_within_artist[safe], np.log1p(tracks)),
        "artist_tracks": np.log1p(tracks),
        "artist_lists": np.log1p(of_artist(tables.artist_lists)),
    }


def _of_lists(held: Holding, rows: Rows, items: Items) -> dict[str, Scores]:
    tables = held.tables
    safe = np.maximum(rows, 0)
    lists = np.where(rows >= 0, tables.counts[safe], 0)
    near = _looked_up(held.near, rows)
    toward = np.where(lists > 0, tables.factors[safe] @ held.direction, 0)
    points = tables.points_of(rows, items, tables.numbers_of(items))
    place = points @ held.point
    return {
        "lists": np.log1p(lists),
        "neighbours_score": near / (near.max(initial=0.0) or 1.0),
        "neighbours_rank": ranks(near),
        "factors_score": toward,
        "factors_rank": ranks(toward),
        "place_score": place,
        "place_angle": place / np.maximum(np.linalg.norm(points, axis=1), 1e-6),
        "place_rank": ranks(place),
    }


def _beside(held: Holding, items: Items) -> dict[str, Scores]:
    genres = items.genres.astype(np.float32)
    albums = held.items.albums[held.items.albums != NOBODY]
    usual_popularity, usual_year = held.tables.usual
    popularity, years = (
        np.nan_to_num(items.popularity, nan=usual_popularity),
        np.nan_to_num(items.years, nan=usual_year),
    )
    held_years = np.nan_to_num(held.items.years, nan=usual_year)
    held_popularity = np.nan_to_num(held.items.popularity, nan=usual_popularity)
    year, spread = (held_years.mean(), held_years.std() + 2) if len(held_years) else (usual_year, 2.0)

    def same_for_all(value: float) -> Scores:
        return np.full(len(items), value, np.float32)

    return {
        "genres": genres @ held.middle(held.items.genres.astype(np.float32)),
        "album_held": (items.albums[:, None] == albums).sum(axis=1),
        "popularity": popularity,
        "popularity_beside": popularity - (held_popularity.mean() if len(held_popularity) else usual_popularity),
        "year": years,
        "year_beside": years - year,
        "year_in_spreads": abs(years - year) / spread,
        "held": same_for_all(np.log1p(len(held.rows))),
        "held_artists": same_for_all((held.artist_interest > 0).sum() / max(len(held.rows), 1)),
        "held_listed": same_for_all(held.listed.mean() if len(held.rows) else 0.0),
        "held_years": same_for_all(spread),
    }


def ranks(scores: Scores) -> Scores:
    """(C,) logarithm of 1 + the rank of each score, from 0, equal ones by their order; the last of what is not > 0."""
    order = np.argsort(-scores, kind="stable")
    found = np.empty(len(scores), np.float32)
    found[order] = np.log1p(np.minimum(np.arange(len(scores)), LAST_RANK))
    return np.where(scores > 0, found, np.log1p(LAST_RANK)).astype(np.float32)


def _looked_up(found: Found, rows: Rows) -> Scores:
    """(C,) scores of rows in what is sorted by row; 0 where they are not."""
    keys, values = found
    if not len(keys):
        return np.zeros(len(rows), np.float32)
    places = np.minimum(np.searchsorted(keys, rows), len(keys) - 1)
    return np.where(keys[places] == rows, values[places], 0).astype(np.float32)
