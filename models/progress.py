"""Where a training run is, in a file, so that a run which was stopped goes on instead of starting again."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.errors import CheckpointMismatch

# Steps between two savings: a saving takes a few milliseconds.
EVERY = 50


class Progress:
    """Saves and restores network, optimiser and schedule of one run.

    Args:
        path: the file; `None` saves nothing.
        network: and `optimiser` and `rate`: what is saved and restored.
        run: all that decides what the run does; a file of another run is refused.
    """

    def __init__(self, path: Path | None, network: Any, optimiser: Any, rate: Any, run: Iterable[object]) -> None:
        self._path = path
        self._parts = {"network": network, "optimiser": optimiser, "rate": rate}
        self._run = _fingerprint(run) if path else ""

    def resume(self) -> int:
        """The step to go on with, 0 without a file.

        Raises:
            CheckpointMismatch: the file is of another run, or damaged.
        """
        if self._path is None or not self._path.exists():
            return 0
        try:
            saved = torch.load(self._path, weights_only=True)
            run, step, parts = saved["run"], saved["step"], {name: saved[name] for name in self._parts}
        except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointMismatch(f"{self._path}: expected the progress of a training; delete it") from error
        if run != self._run:
            raise CheckpointMismatch(
                f"{self._path}: expected the progress of this training, got that of one with other data or settings; "
                "delete it to start from the beginning"
            )
        for name, part in self._parts.items():
            part.load_state_dict(parts[name])
        return int(step)

    def done(self, step: int) -> None:
        """Save now and then, whole or not at all."""
        if self._path is None or (step + 1) % EVERY:
            return
        state = {name: part.state_dict() for name, part in self._parts.items()}
        beside = self._path.with_name(self._path.name + ".new")
        torch.save({**state, "run": self._run, "step": step + 1}, beside)
        os.replace(beside, self._path)

    def forget(self) -> None:
        """The run is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _fingerprint(run: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for one in run:
        digest.update(one.tobytes() if isinstance(one, np.ndarray) else _bytes(one))
    return digest.hexdigest()


def _bytes(one: object) -> bytes:
    return one.numpy().tobytes() if isinstance(one, torch.Tensor) else repr(one).encode()
