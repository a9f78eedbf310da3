"""How much a model that grew with the stream differs from one that was trained on all at once.

Playlists are held out to ask about. Of the others, four fifths are trained on and the rest arrive one after the other;
beside it, all are trained on at once. What is asked of each: which tracks continue a playlist that is held out. A track
that only held-out playlists name is no candidate, and is wanted all the same: nobody could find it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import TooFewTracks
from models.quality import bootstrap
from models.skipgram import Rows
from models.track2vec import PLAYLIST, Change, Config, Track2Vec
from models.track2vec_training import beginning, train

FOLDS = 5
LENGTH_MIN = 10
FOUND = 500
FIRST = 5
# Playlists that arrive together.
TOGETHER = 10

Lists = Sequence[tuple[str, ...]]
Figures = NDArray[np.float64]


class OnStep(Protocol):
    """Told what is under way, and how many of how many steps are done."""

    def __call__(self, name: str, done: int, total: int) -> None:
        """At most once a pass."""


def tell_nobody(name: str, done: int, total: int) -> None:
    """Nobody wants to know."""


GIVEN: Mapping[str, Callable[[int], int]] = {
    "first half given": lambda length: length // 2,
    f"first {FIRST} given": lambda length: FIRST,
}


@dataclass(frozen=True)
class Asked:
    """A playlist to be continued: rows of what is given and of what is wanted, and how many are wanted in all."""

    given: Rows
    wanted: Rows
    count: int


def measure_drift(
    playlists: Lists, config: Config, *, share: float, folds: int, seed: int, on_step: OnStep = tell_nobody
) -> dict[str, Any]:
    """NDCG@500 before, after growing, and after training on all at once; what the first ones lost by it.

    Args:
        playlists: distinct tracks of each.
        config: of the model.
        share: of the playlists, that arrive as a stream.
        folds: of five, how many are held out in turn.
        seed: of what is drawn, and of the intervals.
        on_step: told the fold, and how many of how many steps are done.

    Raises:
        TooFewTracks: too few playlists, or none long enough to ask about.
    """
    if len(playlists) < 2 * FOLDS or not any(len(one) >= LENGTH_MIN for one in playlists):
        raise TooFewTracks(f"expected {2 * FOLDS} playlists and some of {LENGTH_MIN} tracks, got {len(playlists)}")
    rng = np.random.default_rng(seed)
    fold_of = rng.permutation(len(playlists)) % FOLDS
    runs = []
    for fold in range(folds):
        order = rng.permutation(np.flatnonzero(fold_of != fold)).tolist()
        held_out = [playlists[at] for at in np.flatnonzero(fold_of == fold).tolist()]
        first = len(order) - round(share * len(order))
        known, arriving = [playlists[at] for at in order[:first]], [playlists[at] for at in order[first:]]
        on_pass = partial(on_step, f"fold {fold + 1} of {folds}", total=2 * config.passes + 1)
        runs.append(_run(known, arriving, held_out, config, seed, on_pass))
    return {"config": asdict(config), "share": share, "folds": folds, "seed": seed, **_summary(runs, seed)}


def _run(
    known: Lists, arriving: Lists, held_out: Lists, config: Config, seed: int, on_pass: Callable[[int], None]
) -> dict[str, Any]:
    full = beginning(changes_of([*known, *arriving]), config, seed)
    train(full, on_pass)
    grown = beginning(changes_of(known), config, seed)
    train(grown, lambda done: on_pass(config.passes + done))
    vocabulary = len(grown.track_ids)
    before = answers(grown, held_out), answers(grown, held_out, vocabulary)
    began_s = time.process_time()
    changes = changes_of(arriving, len(known))
    for start in range(0, len(changes), TOGETHER):
        grown.absorb(changes[start : start + TOGETHER])
        while grown.due:
            grown.settle()
    took_s = time.process_time() - began_s
    on_pass(2 * config.passes + 1)
    after = answers(grown, held_out), answers(grown, held_out, vocabulary)
    return {
        "figures": {
            name: {
                "before": before[0][name],
                "grown": after[0][name],
                "full": answers(full, held_out)[name],
                "known before": before[1][name],
                "known after": after[1][name],
            }
            for name in GIVEN
        },
        "drift": grown.drift(),
        "lists": len(arriving),
        "took_s": took_s,
    }


def changes_of(playlists: Lists, start: int = 0) -> list[Change]:
    """The playlists as they would arrive."""
    return [Change("playlists", 0, at, f"{PLAYLIST}{at}", one) for at, one in enumerate(playlists, start)]


def answers(model: Track2Vec, playlists: Lists, vocabulary: int | None = None) -> dict[str, Figures]:
    """NDCG@500 of each playlist that is long enough, by how much of it is given.

    `vocabulary` restricts candidates and what is wanted to the tracks that the model knew first.
    """
    size = len(model.track_ids) if vocabulary is None else vocabulary
    places = model.places(np.arange(size, dtype=np.int32))
    rows = {track_id: row for track_id, row in model.rows.items() if row < size}
    long_enough = [one for one in playlists if len(one) >= LENGTH_MIN]
    asked = {
        name: [asked_of(one, cut(len(one)), rows, whole=vocabulary is None) for one in long_enough]
        for name, cut in GIVEN.items()
    }
    return {name: np.array([ndcg(places, one) for one in cases]) for name, cases in asked.items()}


def asked_of(playlist: Sequence[str], cut: int, rows: Mapping[str, int], *, whole: bool) -> Asked:
    """What is given and what is wanted; what nobody could find counts only as a part of the `whole`."""
    given = np.array([rows[one] for one in playlist[:cut] if one in rows], dtype=np.int32)
    wanted = np.array([rows[one] for one in playlist[cut:] if one in rows], dtype=np.int32)
    return Asked(given, wanted, len(playlist) - cut if whole else len(wanted))


def ndcg(places: NDArray[np.float32], asked: Asked, k: int = FOUND) -> float:
    """NDCG@k of the tracks nearest to the mean of those given; 0 where nothing is given or wanted."""
    if not len(asked.given) or not asked.count:
        return 0.0
    scores = places @ places[asked.given].mean(axis=0)
    scores[asked.given] = -np.inf
    best = np.argsort(-scores, kind="stable")[:k]
    gains = 1 / np.log2(np.arange(2, k + 2))
    return float((np.isin(best, asked.wanted) * gains[: len(best)]).sum() / gains[: asked.count].sum())


def _summary(runs: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in GIVEN:
        figures = {
            kind: np.concatenate([run["figures"][name][kind] for run in runs]) for kind in runs[0]["figures"][name]
        }
        interval = bootstrap(np.arange(len(figures["full"])), seed)
        pairs = {"grown less full": ("grown", "full"), "known after less before": ("known after", "known before")}
        differences = {one: figures[first] - figures[second] for one, (first, second) in pairs.items()}
        found[name] = {
            "playlists": len(figures["full"]),
            "ndcg": {kind: round(float(values.mean()), 4) for kind, values in figures.items()},
            "grown over full": round(float(figures["grown"].mean() / max(figures["full"].mean(), 1e-12)), 4),
            "differences": {
                one: {"value": round(float(values.mean()), 4), "interval": [round(x, 4) for x in interval(values)]}
                for one, values in differences.items()
            },
        }
    lists = sum(run["lists"] for run in runs)
    return {
        "measures": found,
        "drift": round(float(np.mean([run["drift"] for run in runs])), 5),
        "ms_per_list": round(1000 * sum(run["took_s"] for run in runs) / max(lists, 1), 1),
    }
