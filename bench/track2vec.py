"""Track2Vec: ten sessions into a vocabulary of a million, beside gensim's own way to do that.

python -m bench.track2vec [--vocabulary 1000000] [--sessions 10] [--length 12] [--runs 30] [--gensim-runs 1]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from gensim.models import Word2Vec

from bench.harness import arguments, report, scratch, summary
from models.lists import Listed
from models.track2vec import PLAYLIST, SESSION, Change, Config, Track2Vec
from models.track2vec_file import load, save

LIST_LENGTH = 20
# New tracks among those of the sessions.
NEW_SHARE = 0.05


def milliseconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - began)


def known(vocabulary: int) -> Track2Vec:
    """A model of so many tracks in lists of twenty."""
    model = Track2Vec(Config(), seed=7)
    ids = [f"track-{n}" for n in range(vocabulary)]
    rng = np.random.default_rng(7)
    model.add(ids, rng.normal(0, 0.3, (vocabulary, 64)).astype(np.float32))
    order = rng.permutation(vocabulary).astype(np.int32)
    for start in range(0, vocabulary, LIST_LENGTH):
        model.hold(Listed(f"{PLAYLIST}{start}", order[start : start + LIST_LENGTH]))
    model.skipgram.draw_by_counts()
    return model


def sessions(rng: np.random.Generator, count: int, length: int, vocabulary: int, run: int) -> list[list[str]]:
    """Sessions of tracks that are known, but for a few that are new."""
    drawn = rng.integers(vocabulary, size=(count, length))
    new = rng.random((count, length)) < NEW_SHARE
    return [
        [f"new-{run}-{at}-{n}" if fresh else f"track-{n}" for n, fresh in zip(row, is_new, strict=True)]
        for at, (row, is_new) in enumerate(zip(drawn.tolist(), new.tolist(), strict=True))
    ]


def ours(model: Track2Vec, options: Sequence[int], runs: int) -> dict[str, object]:
    """What a batch costs at once, and what going over it later costs."""
    count, length, vocabulary = options
    rng = np.random.default_rng(11)
    absorbed, later = [], []
    for run in range(runs):
        changes = [
            Change("listening.sessions", 0, run * count + at, f"{SESSION}0:{run * count + at}", tuple(one))
            for at, one in enumerate(sessions(rng, count, length, vocabulary, run))
        ]
        absorbed.append(milliseconds(partial(model.absorb, changes)))
        later.append(milliseconds(partial(all_settled, model)))
    return {"absorb_ms": summary(absorbed), "settle_ms": summary(later)}


def all_settled(model: Track2Vec) -> None:
    while model.due:
        model.settle()


def gensims(options: Sequence[int], runs: int) -> dict[str, object]:
    """`build_vocab(update=True)` and `train` of gensim, one pass over the same."""
    count, length, vocabulary = options
    model = Word2Vec(vector_size=64, sg=1, window=1_000, negative=5, min_count=1, sample=0, workers=1, seed=7)
    model.build_vocab([[f"track-{n}" for n in range(start, start + 1_000)] for start in range(0, vocabulary, 1_000)])
    rng = np.random.default_rng(11)
    took = []
    for run in range(runs):
        lists = sessions(rng, count, length, vocabulary, run)

        def extend(lists: list[list[str]] = lists) -> None:
            model.build_vocab(lists, update=True)
            model.train(lists, total_examples=len(lists), epochs=1)

        took.append(milliseconds(extend))
    return {"build_vocab_and_train_ms": summary(took)}


def stored(model: Track2Vec, path: Path) -> dict[str, float]:
    """What a snapshot costs."""
    took = {"save_ms": round(milliseconds(lambda: save(model, path, {})), 1)}
    return {**took, "load_ms": round(milliseconds(lambda: load(path)), 1), "mb": round(path.stat().st_size / 1e6, 1)}


def main() -> None:
    given = arguments(__doc__ or "", vocabulary=1_000_000, sessions=10, length=12, runs=30, gensim_runs=1)
    options = given.sessions, given.length, given.vocabulary
    before = psutil.Process().memory_info().rss
    model = known(given.vocabulary)
    resident = psutil.Process().memory_info().rss - before
    with scratch() as directory:
        found = {
            "options": {"sessions": given.sessions, "tracks_each": given.length, "vocabulary": given.vocabulary},
            "ours": ours(model, options, given.runs),
            "bytes_a_track": round(resident / given.vocabulary),
            "snapshot": stored(model, directory / "track2vec.safetensors"),
        }
    del model
    report("track2vec", {**found, "gensim": gensims(options, given.gensim_runs)})


if __name__ == "__main__":
    main()
