"""Our own ways to continue a playlist and to find new releases, as the evaluation asks for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.collaborative import Rows, learn
from models.evidence import evidence
from models.holding import Holding
from models.prior import Folds, examples, propose, train_prior
from models.ranked import best_first
from streams.columns import Columns
from streams.continuation import Known, Ranker, Scores, Way

# Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion outperforms Condorcet, SIGIR 2009.
K = 60
CONTINUED: Mapping[str, float] = {"by_artists": 1.0, "by_neighbours": 0.5, "by_factors": 0.1}
FOUND_NEW: Mapping[str, float] = {"place_score": 1.0, "artist_score": 1.0, "artist_held": 0.5, "genres": 0.2}
PROPOSED = 1_000


def fusion(columns: Columns) -> Way:
    """Ranks of the tracks of near artists, of near lists and of near factors, summed."""

    def way(known: Known) -> Ranker:
        tables = learn(columns.of(known.rows), known.lists)
        return lambda held: _placed(known.rows, _fused(Holding.of(tables, held)))

    return way


def ranked(columns: Columns, seed: int) -> Way:
    """All that the tables propose, in the order of a prior that was learned from the same lists out of fold."""

    def way(known: Known) -> Ranker:
        items = columns.of(known.rows)
        prior = train_prior(examples(items, known.lists, Folds(seed)), seed)
        tables = learn(items, known.lists)

        def scores(held: Rows) -> Scores:
            somebody = Holding.of(tables, held)
            rows = propose(somebody)
            found = np.full(known.rows, -np.inf, np.float32)
            found[rows] = prior.scores(somebody, rows, tables.items.take(rows))
            return found

        return scores

    return way


def new_by_fusion(columns: Columns) -> Way:
    """New releases by the ranks of where the bridge puts them, of their artist, and of their genres, summed."""

    def way(known: Known) -> Ranker:
        tables = learn(columns.of(known.rows), known.lists)
        rows = np.flatnonzero(known.candidates)
        items = tables.items.take(rows)

        def scores(held: Rows) -> Scores:
            found = evidence(Holding.of(tables, held), rows, items)
            fused = np.zeros(len(rows), np.float32)
            for name, weight in FOUND_NEW.items():
                first = best_first(np.where(found[name] > 0, found[name], -np.inf).astype(np.float32), PROPOSED)
                fused[first] += weight / (K + np.arange(len(first)))
            return _placed(known.rows, (rows, fused))

        return scores

    return way


def new_by_prior(columns: Columns, seed: int) -> Way:
    """New releases in the order of the prior, learned as for continuing playlists."""

    def way(known: Known) -> Ranker:
        items = columns.of(known.rows)
        prior = train_prior(examples(items, known.lists, Folds(seed)), seed)
        tables = learn(items, known.lists)
        rows = np.flatnonzero(known.candidates)
        own = tables.items.take(rows)
        return lambda held: _placed(known.rows, (rows, prior.scores(Holding.of(tables, held), rows, own)))

    return way


def _fused(held: Holding) -> tuple[Rows, Scores]:
    lists = [(getattr(held, name)(PROPOSED)[0], weight) for name, weight in CONTINUED.items()]
    rows, places = np.unique(np.concatenate([one for one, _ in lists]), return_inverse=True)
    worth = np.concatenate([weight / (K + np.arange(len(one))) for one, weight in lists])
    return rows, np.bincount(places, worth, minlength=len(rows)).astype(np.float32)


def _placed(count: int, found: tuple[Rows, Scores]) -> Scores:
    scores = np.full(count, -np.inf, np.float32)
    scores[found[0]] = found[1]
    return scores
