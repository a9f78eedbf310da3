"""Embeddings held against what people put together, on artists that no training of ours has seen.

Two traps are closed. A further release of the query's own recording is no neighbour: it would count as a hit of any
model that maps one sound to one place. A track that a playlist names and the catalogue has not is neither a candidate
nor wanted, and all playlists choose among the same candidates: else a candidate would be there because it is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.embeat_mlp import EmbeatMLP
from models.errors import TooFewTracks
from models.features import table
from models.quality import (
    Continuation,
    Vectors,
    bootstrap,
    found_among,
    nearest_rows,
    share_alike,
    share_overlapping,
    standardised,
)
from streams.labelled import HELD_OUT, RULE, Catalogue, Labels

QUERIES_MAX = 5_000
NEAREST = 10
FOUND = 50
PLAYLIST_MIN = 10
HELD_MIN = 5
BATCH = 4096
RAW = "raw features"

Able = NDArray[np.bool_]
Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One figure.

    Attributes:
        clusters: (Q,) what each question is about; answers about one thing are not independent.
        candidates: how many tracks each question chooses among.
        answer: vectors of the whole catalogue to (Q,) figures.
    """

    clusters: Labels
    candidates: int
    answer: Callable[[Vectors], Figures]


def compare(catalogue: Catalogue, models: Sequence[EmbeatMLP], *, seed: int) -> dict[str, Any]:
    """The figures of each model and of the raw features, and how much better the first model is than each other.

    Returns:
        `questions` by measure; `models`: version -> measure -> value and its 95 % interval; `differences`: the first
        less each other, with paired intervals; `unseen`: whether a model's manifest says that it was trained without
        these artists, else its figures may flatter it. A measure for which the catalogue holds too little is left out.
    """
    able = np.array([all(model.can_embed(track) for model in models) for track in catalogue.tracks], dtype=bool)
    vectors = {model.version: vectors_of(model, catalogue, able) for model in models}
    vectors[RAW] = standardised(table(catalogue.tracks))
    measures = measures_of(catalogue, able, seed)
    answers = {
        one: {name: measure.answer(found) for name, measure in measures.items()} for one, found in vectors.items()
    }
    intervals = {name: bootstrap(measure.clusters, seed) for name, measure in measures.items()}
    first, *others = vectors

    def summary(figures: Mapping[str, Figures]) -> dict[str, Any]:
        return {name: _with_interval(values, intervals[name]) for name, values in figures.items()}

    def less(other: Mapping[str, Figures]) -> dict[str, Figures]:
        return {name: values - other[name] for name, values in answers[first].items()}

    return {
        "held_out": RULE,
        "tracks": int(able.sum()),
        "questions": {name: {"n": len(one.clusters), "candidates": one.candidates} for name, one in measures.items()},
        "unseen": {model.version: model.manifest.get("held_out") == RULE for model in models},
        "models": {one: summary(found) for one, found in answers.items()},
        "differences": {one: summary(less(answers[one])) for one in others},
    }


def _with_interval(values: Figures, interval: Callable[[Figures], tuple[float, float]]) -> dict[str, Any]:
    low, high = interval(values)
    return {"value": round(float(values.mean()), 4), "interval": [round(low, 4), round(high, 4)]}


def vectors_of(model: EmbeatMLP, catalogue: Catalogue, able: Able) -> Vectors:
    """(N, D) vectors; 0 where a track is not `able`."""
    rows = np.flatnonzero(able)
    vectors = np.zeros((len(able), model.config.output_width), np.float32)
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        vectors[part] = model.embed([catalogue.tracks[row] for row in part.tolist()])
    return vectors


def measures_of(catalogue: Catalogue, able: Able, seed: int) -> dict[str, Measure]:
    """The measures that the catalogue holds enough for.

    Of the 10 nearest, the share on the same album, of the same artist, with a genre in common: among the tracks of a
    tenth of the artists whose album, artist or genres are known, and of queries that have anything to find there. And
    of the tracks of held-out artists in a playlist, the share among the 50 nearest to the mean of its other tracks,
    among all tracks of held-out artists that some playlist holds.
    """
    here = able & (catalogue.folds == HELD_OUT[0])
    genres = catalogue.genres
    rng = np.random.default_rng(seed)
    with_genre = here & np.array([bool(one) for one in genres], dtype=bool)
    made: dict[str, Callable[[], Measure]] = {
        f"album@{NEAREST}": lambda: _alike(catalogue, here, catalogue.albums, rng),
        f"artist@{NEAREST}": lambda: _alike(catalogue, here, catalogue.artist_ids, rng),
        f"genre@{NEAREST}": lambda: _overlapping(catalogue, with_genre, genres, rng),
        f"cold recall@{FOUND}": lambda: _found(catalogue, able, 0),
        f"cold NDCG@{FOUND}": lambda: _found(catalogue, able, 1),
    }
    found = {}
    for name, make in made.items():
        with suppress(TooFewTracks):
            found[name] = make()
    return found


def _alike(catalogue: Catalogue, here: Able, labels: Labels, rng: np.random.Generator) -> Measure:
    rows = np.flatnonzero(here & (labels >= 0))
    own, recordings = labels[rows], catalogue.recordings[rows]
    pairs = np.unique(np.column_stack([own, recordings]), axis=0)
    others = np.bincount(pairs[:, 0], minlength=labels.max(initial=0) + 1)
    queries = _drawn(np.flatnonzero(others[own] > 1), rng)
    _enough(queries, recordings)

    def answer(vectors: Vectors) -> Figures:
        return share_alike(nearest_rows(vectors[rows], queries, recordings, NEAREST), queries, own)

    return Measure(catalogue.artists[rows][queries], len(rows), answer)


def _overlapping(
    catalogue: Catalogue, here: Able, genres: Sequence[frozenset[str]], rng: np.random.Generator
) -> Measure:
    rows = np.flatnonzero(here)
    own, recordings = [genres[row] for row in rows.tolist()], catalogue.recordings[rows]
    queries = _drawn(np.arange(len(rows)), rng)
    _enough(queries, recordings)

    def answer(vectors: Vectors) -> Figures:
        return share_overlapping(nearest_rows(vectors[rows], queries, recordings, NEAREST), queries, own)

    return Measure(catalogue.artists[rows][queries], len(rows), answer)


def _found(catalogue: Catalogue, able: Able, column: int) -> Measure:
    new = catalogue.held_out
    listed = np.zeros(len(able), dtype=bool)
    for one in catalogue.playlists:
        listed[one] = True
    candidates = np.flatnonzero(listed & new & able)
    whole = [one[able[one]] for one in catalogue.playlists if len(one) >= PLAYLIST_MIN]
    cases = [Continuation(one[~new[one]], one[new[one]]) for one in whole]
    cases = [case for case in cases if len(case.held) >= HELD_MIN and len(case.wanted)]
    if not cases:
        raise TooFewTracks("expected playlists with tracks of held-out artists, got none")

    def answer(vectors: Vectors) -> Figures:
        return found_among(vectors, cases, candidates, FOUND)[:, column]

    return Measure(np.arange(len(cases)), len(candidates), answer)


def _drawn(rows: Labels, rng: np.random.Generator) -> Labels:
    return np.sort(rng.permutation(rows)[:QUERIES_MAX])


def _enough(queries: Labels, recordings: Labels) -> None:
    if not len(queries) or len(recordings) - np.bincount(recordings).max(initial=0) < NEAREST:
        raise TooFewTracks(f"expected queries and {NEAREST} recordings to choose among")
