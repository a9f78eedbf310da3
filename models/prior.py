"""How well each candidate goes with what is held: a ranker over the ranks and scores of every kind of evidence.

It learns from lists that the tables have not seen (out of fold), else it would trust the tables more than they deserve.
Its candidates are what the tables propose, never what a list names alone, else it would learn that a track without any
evidence is the one that is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.collaborative import Collaborative, Rows, Scores, learn
from models.errors import CheckpointMismatch, TooFewTracks
from models.evidence import evidence
from models.holding import Holding
from models.items import Items

PROPOSED: Mapping[str, int] = {"by_artists": 800, "by_neighbours": 300, "by_factors": 200}
FOLDS = 4
CASES_MAX = 1_500
LEAST_HELD, LEAST_WANTED = 3, 3
# Of a hundred candidates one is wanted; so many of the others say enough.
OTHERS = 0.3
# Few and small trees: 200 of 31 leaves gained .003 to .009 NDCG and took four times as long.
TREES = 60
SETTINGS = {
    "objective": "binary",
    "num_leaves": 16,
    "learning_rate": 0.2,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}

# (C, features) of one case, and (C,) whether each candidate was wanted.
Example = tuple[dict[str, Scores], NDArray[np.bool_]]
OnDone = Callable[[int, int], None]


class Prior:
    """Scores candidates; `text` is the trees as LightGBM writes them.

    Raises:
        CheckpointMismatch: it cannot be read.
    """

    def __init__(self, text: str) -> None:
        import lightgbm

        try:
            self._trees = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise CheckpointMismatch(f"expected trees of LightGBM, got {error}") from error
        self._names = self._trees.feature_name()
        self.text = text

    def scores(self, held: Holding, rows: Rows, items: Items) -> Scores:
        """(C,) log-odds that each candidate is wanted; arguments as of `evidence`."""
        if not len(rows):
            return np.zeros(0, np.float32)
        found = evidence(held, rows, items)
        table = np.column_stack([found[name] for name in self._names]).astype(np.float32)
        return self.of_table(table)

    def of_table(self, table: Scores, threads: int = 1) -> Scores:
        """(C,) the same of (C, features) in the order in which it learned them."""
        return np.asarray(self._trees.predict(table, raw_score=True, num_threads=threads), np.float32)


def propose(held: Holding, proposed: Mapping[str, int] = PROPOSED) -> Rows:
    """Rows of the candidates that the tables have for somebody, each once."""
    return np.unique(np.concatenate([getattr(held, name)(most)[0] for name, most in proposed.items()]))


def train_prior(found: Iterable[Example], seed: int, threads: int = 0) -> Prior:
    """Learn which evidence to believe.

    Raises:
        TooFewTracks: there are no examples.
    """
    import lightgbm

    cases = [(table_of(one), wanted, list(one)) for one, wanted in found]
    if not cases:
        raise TooFewTracks("expected lists whose tracks other lists hold too, got none")
    data = lightgbm.Dataset(
        np.concatenate([table for table, _, _ in cases]),
        np.concatenate([wanted for _, wanted, _ in cases]).astype(np.float32),
        feature_name=cases[0][2],
    )
    trees = lightgbm.train({**SETTINGS, "seed": seed, "num_threads": threads}, data, TREES)
    return Prior(trees.model_to_string())


def table_of(found: Mapping[str, Scores]) -> Scores:
    """(C, features) evidence as the trees take it."""
    return np.column_stack(list(found.values())).astype(np.float32)


def held_out_auc(found: Sequence[Example], seed: int, threads: int = 0) -> float | None:
    """How likely a prior puts a wanted candidate before another one, of lists that it has not learned from.

    The last fifth of the examples is held out: lists of one fold, of which the tables knew nothing either. The mean
    over those that have both kinds of candidates; `None` where there are too few.
    """
    cut = len(found) * 4 // 5
    asked = [(table_of(one), wanted) for one, wanted in found[cut:] if wanted.any() and not wanted.all()]
    if not cut or not asked:
        return None
    prior = train_prior(found[:cut], seed, threads)
    return float(np.mean([auc(prior.of_table(table, threads), wanted) for table, wanted in asked]))


def auc(scores: Scores, wanted: NDArray[np.bool_]) -> float:
    """The share of pairs of a wanted one and another in which the wanted one has the greater score; ties count half."""
    others = np.sort(scores[~wanted])
    below = np.searchsorted(others, scores[wanted], "left") + np.searchsorted(others, scores[wanted], "right")
    return float(below.mean() / (2 * len(others)))


@dataclass(frozen=True)
class Folds:
    """How lists are set apart, and how many of them are asked about."""

    seed: int
    folds: int = FOLDS
    cases_max: int = CASES_MAX


def examples(
    items: Items, lists: Sequence[Rows], how: Folds, on_done: OnDone = lambda done, total: None
) -> Iterator[Example]:
    """What there was to say for the candidates of lists that the tables behind it have not seen."""
    rng = np.random.default_rng(how.seed)
    fold_of = rng.permutation(len(lists)) % how.folds
    long = [at for at, one in enumerate(lists) if len(one) >= LEAST_HELD + LEAST_WANTED]
    asked = np.sort(rng.permutation(long)[: how.cases_max])
    done = 0
    for fold in range(how.folds):
        own = [at for at in asked.tolist() if fold_of[at] == fold]
        if not own:
            continue
        tables = learn(items, [one for at, one in enumerate(lists) if fold_of[at] != fold])
        for at in own:
            yield from _examples(tables, lists[at], rng)
            done += 1
            on_done(done, len(asked))


def _examples(tables: Collaborative, one: Rows, rng: np.random.Generator) -> Iterator[Example]:
    for cut in sorted(cuts(len(one), rng)):
        held = Holding.of(tables, one[:cut])
        rows = propose(held)
        wanted = np.isin(rows, one[cut:])
        if wanted.any():
            kept = wanted | (rng.random(len(rows)) < OTHERS)
            found = evidence(held, rows, tables.items.take(rows))
            yield {name: np.asarray(values)[kept] for name, values in found.items()}, wanted[kept]


def cuts(length: int, rng: np.random.Generator) -> set[int]:
    """Where a list is cut into what is held and what is wanted: after a few, in the middle, and anywhere."""
    most = length - LEAST_WANTED
    return {min(5, most), max(LEAST_HELD, min(length // 2, most)), int(rng.integers(LEAST_HELD, most + 1))}
