"""Plain ways to continue a playlist, for a measure of what more is worth."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from models.collaborative import counts_of
from models.embeat_mlp import EmbeatMLP
from models.features import table
from models.quality import Vectors, standardised
from streams.columns import Columns
from streams.continuation import Known, Ranker, Scores, Way
from streams.embedding_quality import vectors_of
from streams.labelled import Catalogue, Labels

# The best of those measured on sparse playlists.
ALS = {"factors": 32, "regularization": 20.0, "alpha": 20.0, "iterations": 12}
KNN_NEIGHBOURS = 200


def popularity(known: Known) -> Ranker:
    """What most playlists hold; at equality, what the catalogue says is more popular."""
    counts = np.bincount(np.concatenate(known.lists), minlength=known.rows)
    said = [track.popularity or 0.0 for track in known.catalogue.tracks]
    scores = counts.astype(np.float32)
    scores[: len(said)] += np.array(said, np.float32) / 1000
    return lambda _: scores


def item_knn(known: Known) -> Ranker:
    """Tracks that often stand beside what is held, by BM25, of the library `implicit`."""
    from implicit.nearest_neighbours import BM25Recommender

    return _of_library(BM25Recommender(K=KNN_NEIGHBOURS, num_threads=0), known)


def als(seed: int) -> Way:
    """Weighted alternating least squares, of the library `implicit`."""

    def learn(known: Known) -> Ranker:
        from implicit.cpu.als import AlternatingLeastSquares

        # Its own threads are enough.
        with threadpool_limits(1, "blas"):
            return _of_library(AlternatingLeastSquares(**ALS, random_state=seed, num_threads=0), known)

    return learn


def embedding(model: EmbeatMLP, catalogue: Catalogue) -> Way:
    """Tracks whose vectors are near the mean of those held."""
    able = np.array([model.can_embed(track) for track in catalogue.tracks], dtype=bool)
    return centroid(vectors_of(model, catalogue, able))


def raw_features(catalogue: Catalogue) -> Way:
    """The same of the audio features themselves, each in units of its spread."""
    return centroid(standardised(table(catalogue.tracks)))


def artist_known(catalogue: Catalogue) -> Way:
    """Tracks of artists that are held, of those held more often first, then by popularity."""
    artists = catalogue.artists
    said = np.array([(track.popularity or 0.0) / 1000 for track in catalogue.tracks], np.float32)

    def learn(known: Known) -> Ranker:
        def scores(held: Labels) -> Scores:
            of_held = artists[held[held < len(artists)]]
            times = np.bincount(of_held[of_held >= 0], minlength=artists.max(initial=0) + 1)
            found = np.full(known.rows, -np.inf, np.float32)
            found[: len(artists)] = np.where((artists >= 0) & (times[artists] > 0), times[artists] + said, -np.inf)
            return found

        return scores

    return learn


def genres_shared(columns: Columns) -> Way:
    """Tracks whose genres are near those of what is held."""

    def learn(known: Known) -> Ranker:
        return centroid(columns.of(known.rows).genres.astype(np.float32))(known)

    return learn


def centroid(vectors: Vectors) -> Way:
    """Near the mean of what is held; vectors of the catalogue, 0 where there is none."""

    def learn(known: Known) -> Ranker:
        def scores(held: Labels) -> Scores:
            found = np.full(known.rows, -np.inf, np.float32)
            found[: len(vectors)] = vectors @ vectors[held[held < len(vectors)]].mean(axis=0)
            return found

        return scores

    return learn


def _of_library(model: Any, known: Known) -> Ranker:
    learned = counts_of(known.lists, known.rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a conversion of its own
        model.fit(learned, show_progress=False)
    occurring = np.asarray(learned.sum(axis=0)).ravel() > 0

    def scores(held: Labels) -> Scores:
        row = counts_of([np.sort(held)], known.rows)
        asked = min(known.rows, 2000)
        rows, said = model.recommend(0, row, N=asked, filter_already_liked_items=False, recalculate_user=True)
        found = np.full(known.rows, -np.inf, np.float32)
        found[rows] = said
        return np.where(occurring, found, -np.inf)

    return scores
