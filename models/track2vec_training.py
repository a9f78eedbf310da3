"""Full training of a Track2Vec on all the lists that it holds: the same lists, settings and seed, the same vectors."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.errors import CheckpointMismatch, TooFewTracks
from models.lists import Listed
from models.skipgram import Rows, segments
from models.track2vec import Change, Config, Track2Vec

# Passes between two savings.
EVERY = 5
# Parts of lists trained at one rate.
TOGETHER = 40
OnPass = Callable[[int], None]


def beginning(changes: list[Change], config: Config, seed: int) -> Track2Vec:
    """A model that counts these lists and has learned nothing from them yet."""
    model = Track2Vec(config, seed)
    for change in changes:
        model.hold(Listed(change.key, model.rows_of(change.track_ids or ()), change.updated_at_ms))
    return model


def begun_anew(model: Track2Vec) -> Track2Vec:
    """A model that counts what this one does, has come as far, and has learned nothing yet."""
    new = Track2Vec(model.config, model.seed)
    new.rows_of(model.track_ids)
    for listed in sorted(model.lists, key=lambda one: one.key):
        new.hold(listed)
    new.sessions = model.sessions.copy()
    new.offsets = dict(model.offsets)
    return new


def train(model: Track2Vec, on_pass: OnPass = lambda done: None, progress_path: Path | None = None) -> None:
    """Train on all lists, and put the anchors where the tracks come to be.

    Args:
        model: one that has learned nothing yet.
        on_pass: told how many passes are done.
        progress_path: a file that holds how far a run is; one that was stopped goes on from there.

    Raises:
        TooFewTracks: no list has two tracks.
        CheckpointMismatch: the progress is of another run, or damaged.
    """
    lists = sorted((one for one in model.lists if len(one.rows) > 1), key=lambda one: one.key)
    if not lists:
        raise TooFewTracks("expected lists of at least two tracks to learn from, got none")
    progress = _Progress(progress_path, model, lists)
    config = model.config
    for done in range(progress.resume(), config.passes):
        on_pass(done)
        # Each pass draws for itself, so that a run which was stopped draws the same.
        rng = np.random.default_rng([model.seed, done])
        model.skipgram.draw_anew(int(rng.integers(2**31)))
        parts = [one for at in rng.permutation(len(lists)) for one in segments(lists[at].rows, config.segment, rng)]
        for start in range(0, len(parts), TOGETHER):
            through = (done + start / len(parts)) / config.passes
            model.skipgram.train(parts[start : start + TOGETHER], config.rate_at(1 - through))
        progress.done(done + 1)
    on_pass(config.passes)
    rows = np.flatnonzero(model.skipgram.counts).astype(np.int32)
    model.anchors.put(rows, model.places(rows))
    model.due.clear()
    progress.forget()


class _Progress:
    """Vectors and contexts after some passes, in a file, whole or not at all."""

    def __init__(self, path: Path | None, model: Track2Vec, lists: list[Listed]) -> None:
        self._path = path
        self._model = model
        self._run = run_of(model, (one.rows for one in lists)) if path else ""

    def resume(self) -> int:
        """How many passes are done, 0 without a file."""
        if self._path is None or not self._path.exists():
            return 0
        try:
            with np.load(self._path) as saved:
                run, done = str(saved["run"]), int(saved["done"])
                vectors, contexts = saved["vectors"], saved["contexts"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise CheckpointMismatch(f"{self._path}: expected the progress of a training; delete it") from error
        if run != self._run:
            raise CheckpointMismatch(
                f"{self._path}: expected the progress of this training, got that of one with other data or settings; "
                "delete it to start from the beginning"
            )
        self._model.skipgram.vectors[:], self._model.skipgram.contexts[:] = vectors, contexts
        return done

    def done(self, passes: int) -> None:
        """Save now and then."""
        if self._path is None or passes % EVERY:
            return
        beside = self._path.with_name(self._path.name + ".new")
        skipgram = self._model.skipgram
        with beside.open("wb") as file:
            np.savez(file, run=self._run, done=passes, vectors=skipgram.vectors, contexts=skipgram.contexts)
        os.replace(beside, self._path)

    def forget(self) -> None:
        """The run is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def run_of(model: Track2Vec, lists: Iterator[Rows]) -> str:
    """What a run does, all of it, in one word."""
    digest = hashlib.sha256(repr((asdict(model.config), model.seed, model.track_ids)).encode())
    for rows in lists:
        digest.update(rows.tobytes() + b";")
    return digest.hexdigest()
