"""Training an embedding from pairs that belong together: same album, artist or playlist."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.embeat_mlp import Config, Network
from models.errors import TooFewTracks
from models.features import AudioFeatures, to_arrays

Pairs = NDArray[np.int64]
OnStep = Callable[[int, float], None]


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes:
        temperature: of the softmax over similarities.
        chunk: rows whose similarities to the whole batch are in memory at once.
        hidden: share of the discrete features that is taken as unknown, so that "unknown" is learned as well.
    """

    steps: int = 1500
    batch: int = 1024
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    temperature: float = 0.07
    chunk: int = 256
    hidden: float = 0.1
    seed: int = 7


@dataclass(frozen=True)
class Examples:
    """Tracks to train on, in rows.

    Attributes:
        groups: name of a relation -> rows that share it, one array a group of two or more.
        owners: (N,) int64 artist of each row, -1 where unknown; two tracks of one artist are no negatives.
    """

    tracks: Sequence[AudioFeatures]
    groups: Mapping[str, Sequence[NDArray[np.int64]]]
    owners: NDArray[np.int64]


def info_nce(
    anchors: Tensor, positives: Tensor, owners: Tensor, temperature: float, chunk: int
) -> tuple[Tensor, Tensor]:
    """InfoNCE over a batch, with pairs that are no negatives masked, in bounded memory.

    Source: van den Oord, Li and Vinyals, Representation Learning with Contrastive Predictive Coding, 2018. The
    similarities are made, and their gradient taken, `chunk` rows at a time.

    Args:
        anchors: (B, D) float32 unit vectors.
        positives: (B, D) float32 unit vectors; row i belongs to anchor i.
        owners: (B, 2) int64, of each anchor and of each positive; anchor i and positive j of one owner >= 0 are no
            negatives of each other.
        temperature: divides the cosines.
        chunk: rows at a time.

    Returns:
        The mean loss, detached, and the gradient with respect to `anchors` and `positives`, (2, B, D).
    """
    left, right = anchors.detach().requires_grad_(), positives.detach().requires_grad_()
    total = torch.zeros(())
    rows = len(left)
    for start in range(0, rows, chunk):
        own = torch.arange(start, min(start + chunk, rows))
        logits = left[own] @ right.T / temperature
        alike = (owners[own, 0, None] == owners[None, :, 1]) & (owners[own, 0, None] >= 0)
        alike[torch.arange(len(own)), own] = False
        loss = torch.nn.functional.cross_entropy(logits.masked_fill(alike, -torch.inf), own, reduction="sum") / rows
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    if left.grad is None or right.grad is None:
        raise TooFewTracks("expected a batch of one or more pairs, got none")
    return total, torch.stack([left.grad, right.grad])


def train(
    examples: Examples, training: Training, config: Config | None = None, on_step: OnStep = lambda step, loss: None
) -> Network:
    """A network trained from scratch; the same seed and examples give the same weights on one machine.

    Raises:
        TooFewTracks: no two tracks share a group.
    """
    rng = np.random.default_rng(training.seed)
    discrete, acoustic = map(torch.from_numpy, to_arrays(examples.tracks))
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(training.seed)
        network = Network(config or Config()).train()
        optimiser = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, training.learning_rate, total_steps=training.steps + 1)
        for step in range(training.steps):
            pairs = draw_pairs(examples.groups, training.batch, rng)
            both = torch.from_numpy(pairs.T.reshape(-1))
            shown = discrete[both] * (torch.rand(len(both), discrete.shape[1]) >= training.hidden)
            optimiser.zero_grad()
            owners = torch.from_numpy(examples.owners[pairs])
            loss = _learn(network, (shown, acoustic[both]), owners, training)
            optimiser.step()
            rate.step()
            on_step(step, float(loss))
    forget_unseen(network, discrete)
    return network.eval()


def _learn(network: Network, batch: tuple[Tensor, Tensor], owners: Tensor, training: Training) -> Tensor:
    """Add one batch's gradient; `batch` holds all anchors, then all positives. Returns the loss."""
    vectors = network(*batch)
    halves = vectors.reshape(2, len(owners), -1)
    loss, gradient = info_nce(halves[0], halves[1], owners, training.temperature, training.chunk)
    halves.backward(gradient)
    return loss


@torch.no_grad()
def forget_unseen(network: Network, discrete: Tensor) -> None:
    """Make each discrete value that is not in `discrete` count as unknown: its row is still random.

    Args:
        network: whose tables are changed.
        discrete: (N, 4) int64, all that it was trained on.
    """
    for column, table in enumerate(network.tables):
        unseen = torch.ones(table.num_embeddings, dtype=torch.bool)
        unseen[discrete[:, column]] = False
        table.weight[unseen] = table.weight[0].clone()


def draw_pairs(groups: Mapping[str, Sequence[NDArray[np.int64]]], count: int, rng: np.random.Generator) -> Pairs:
    """(count, 2) rows of tracks that share a group: relations in equal parts, groups by the root of their size.

    Raises:
        TooFewTracks: there is no group.
    """
    names = [name for name, members in groups.items() if len(members)]
    if not names:
        raise TooFewTracks(f"expected tracks that share one of {', '.join(groups) or 'some groups'}, got none")
    share = np.array_split(np.arange(count), len(names))
    drawn = [_draw(groups[name], len(part), rng) for name, part in zip(names, share, strict=True)]
    return np.concatenate(drawn)


def _draw(groups: Sequence[NDArray[np.int64]], count: int, rng: np.random.Generator) -> Pairs:
    weights = np.sqrt([len(group) for group in groups])
    chosen = rng.choice(len(groups), count, p=weights / weights.sum())
    return np.array([rng.choice(groups[one], 2, replace=False) for one in chosen], dtype=np.int64)


def nearest_rows(
    vectors: NDArray[np.float32], queries: NDArray[np.int64], k: int = 10, chunk: int = 256
) -> NDArray[np.int64]:
    """(Q, k) rows of the tracks nearest to each query, itself not counted, in no order; `chunk` queries at a time.

    Raises:
        TooFewTracks: there are no queries, or no k other tracks.
    """
    if not len(queries) or len(vectors) <= k:
        raise TooFewTracks(f"expected queries and more than {k} tracks, got {len(queries)} and {len(vectors)}")
    parts = (queries[start : start + chunk] for start in range(0, len(queries), chunk))
    return np.concatenate([_nearest(vectors, part, k) for part in parts])


def _nearest(vectors: NDArray[np.float32], queries: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    similar = vectors[queries] @ vectors.T
    similar[np.arange(len(queries)), queries] = -np.inf
    nearest: NDArray[np.int64] = np.argpartition(-similar, k, axis=1)[:, :k]
    return nearest


def share_alike(nearest: NDArray[np.int64], queries: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Share of the nearest that have the query's label, over queries whose label is known (>= 0); NaN if none is."""
    known = labels[queries] >= 0
    if not known.any():
        return math.nan
    return float((labels[nearest[known]] == labels[queries[known], None]).mean())


def share_overlapping(nearest: NDArray[np.int64], queries: NDArray[np.int64], masks: NDArray[np.int64]) -> float:
    """Share of the nearest that share a bit with the query, over queries that have one; NaN if none has."""
    known = masks[queries] != 0
    if not known.any():
        return math.nan
    return float((masks[nearest[known]] & masks[queries[known], None] != 0).mean())
