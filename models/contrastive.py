"""Training an embedding from pairs that belong together: same album, artist, genre or playlist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.embeat_mlp import Config
from models.errors import TooFewTracks
from models.features import Audible, Inputs
from models.network import Network
from models.pairs import PairSampler
from models.progress import Progress

# Odds with which a year is hidden where years are shown at all.
YEARS_HIDDEN = 0.5
OnStep = Callable[[int, float], None]
# Albums and artists say more of a sound than genres and playlists, also of which playlist it goes into.
SHARES = {"album": 4.0, "artist": 5.0, "genre": 1.0, "playlist": 1.0}


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes:
        steps: batches; `None` shows each track about `VIEWS` times, in `STEPS_LEAST` batches at least.
        temperature: of the softmax over similarities.
        chunk: rows whose similarities to the whole batch are in memory at once.
        gaps: share of the tracks that are shown with features hidden, each with odds `hidden`, so that "unknown" is
            learned as well.
        dated: share of the batches that are of tracks whose year is known, and show it of every other one, by chance;
            the others show none. So whether a year is known tells nothing of what belongs together: in a catalogue
            it says where its tracks are from, and those of one source would come to be near one another alone.
        shares: relation -> its part of the pairs.
    """

    steps: int | None = None
    batch: int = 1024
    learning_rate: float = 6e-3
    weight_decay: float = 0.1
    temperature: float = 0.07
    chunk: int = 512
    gaps: float = 0.1
    hidden: float = 0.3
    dated: float = 0.5
    seed: int = 7
    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))

    def steps_for(self, tracks: int) -> int:
        """How many batches a catalogue of so many tracks gets."""
        return self.steps or max(STEPS_LEAST, round(VIEWS * tracks / (2 * self.batch)))


# Before years were read more than 10 views or 30 steps wore the tracks out: artists that were held out were found less
# often again, in catalogues of two thousand, twenty thousand and two hundred thousand tracks. Years take half of the
# batches, so there are half as many again.
VIEWS, STEPS_LEAST = 15, 30


@dataclass(frozen=True)
class Examples:
    """Tracks to train on, in rows.

    Attributes:
        groups: name of a relation -> rows that share it, one array a group of two or more.
        owners: (N,) int64 artist of each row, -1 where unknown; two tracks of one artist are no negatives.
    """

    tracks: Sequence[Audible]
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
    examples: Examples,
    training: Training,
    config: Config | None = None,
    on_step: OnStep = lambda step, loss: None,
    progress_path: Path | None = None,
) -> Network:
    """A network trained from scratch, or from where a run that was stopped has come to.

    The same seed and examples give the same weights on one machine, stopped in between or not.

    Args:
        examples: what to learn from.
        training: how.
        config: of the network.
        on_step: told each step that is done, and its loss.
        progress_path: file that remembers where the run is; gone once the run is done.

    Raises:
        TooFewTracks: no two tracks share a group.
        CheckpointMismatch: the file of progress is of another training, or damaged.
    """
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(training.seed)
        network = Network(config or Config()).train()
        discrete, acoustic = map(torch.from_numpy, network.inputs.arrays(examples.tracks))
        sampler = PairSampler(examples.groups, training.shares)
        dated = dated_pairs(examples, acoustic, network.inputs, training)
        steps = training.steps_for(len(examples.tracks))
        optimiser = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, training.learning_rate, total_steps=steps + 1)
        run = {"training": asdict(training), "config": asdict(network.config)}
        progress = Progress(progress_path, network, optimiser, rate, [run, discrete, acoustic, *_flat(examples)])
        for step in range(progress.resume(), steps):
            rng = np.random.default_rng([training.seed, step])  # a step's draws depend on no other step
            torch.manual_seed(int(rng.integers(2**62)))
            shows_years = dated is not None and rng.random() < training.dated
            pairs = (dated if dated and shows_years else sampler).draw(training.batch, rng)
            both = torch.from_numpy(pairs.T.reshape(-1))
            shown = with_gaps(discrete[both], acoustic[both], network.inputs, training)
            hide_years(shown[1], network.inputs, YEARS_HIDDEN if shows_years else 1.0)
            optimiser.zero_grad()
            loss = _learn(network, shown, torch.from_numpy(examples.owners[pairs]), training)
            optimiser.step()
            rate.step()
            progress.done(step)
            on_step(step, float(loss))
    progress.forget()
    forget_unseen(network, discrete)
    centre(network.eval(), discrete, acoustic)
    return network


def _flat(examples: Examples) -> list[NDArray[np.int64]]:
    return [examples.owners, *(np.concatenate(groups) for groups in examples.groups.values() if len(groups))]


def _learn(network: Network, batch: tuple[Tensor, Tensor], owners: Tensor, training: Training) -> Tensor:
    """Add one batch's gradient; `batch` holds all anchors, then all positives. Returns the loss."""
    vectors = network(*batch)
    halves = vectors.reshape(2, len(owners), -1)
    loss, gradient = info_nce(halves[0], halves[1], owners, training.temperature, training.chunk)
    halves.backward(gradient)
    return loss


def with_gaps(discrete: Tensor, acoustic: Tensor, inputs: Inputs, training: Training) -> tuple[Tensor, Tensor]:
    """Copies of both inputs with features hidden at random, as if they had been unknown."""
    chosen = torch.rand(len(discrete), 1) < training.gaps
    discrete = discrete * ~(chosen & (torch.rand(discrete.shape) < training.hidden))
    acoustic = acoustic.clone()
    for number in inputs.numbers:
        hidden = chosen[:, 0] & (torch.rand(len(acoustic)) < training.hidden)
        acoustic[:, number.columns] *= ~hidden[:, None]
        acoustic[hidden, number.flag] = 1
    return discrete, acoustic


def dated_pairs(examples: Examples, acoustic: Tensor, inputs: Inputs, training: Training) -> PairSampler | None:
    """Pairs of tracks whose years are both known; `None` where there are none, or the inputs do not read years."""
    if inputs.year is None:
        return None
    known = acoustic[:, inputs.year.flag].numpy() == 0
    groups = {name: [one[known[one]] for one in members] for name, members in examples.groups.items()}
    with suppress(TooFewTracks):
        return PairSampler(groups, training.shares)
    return None


def hide_years(acoustic: Tensor, inputs: Inputs, odds: float) -> None:
    """Hide the years of a batch, each with these odds."""
    if inputs.year is not None:
        hidden = torch.rand(len(acoustic)) < odds
        acoustic[:, inputs.year.columns] *= ~hidden[:, None]
        acoustic[hidden, inputs.year.flag] = 1


@torch.no_grad()
def forget_unseen(network: Network, discrete: Tensor) -> None:
    """Make each discrete value that is not in `discrete` count as unknown: its row is still random.

    Args:
        network: whose tables are changed.
        discrete: (N, tables) int64, all that it was trained on.
    """
    for column, table in enumerate(network.tables):
        unseen = torch.ones(table.num_embeddings, dtype=torch.bool)
        unseen[discrete[:, column]] = False
        table.weight[unseen] = table.weight[0].clone()


@torch.no_grad()
def centre(network: Network, discrete: Tensor, acoustic: Tensor, chunk: int = 8192) -> None:
    """Move the last layer so that its outputs for these tracks have mean 0.

    All music sounds somewhat alike, so trained vectors share a direction (a mean cosine of 0.65) that tells nothing;
    without it they use the whole sphere.

    Source: Mu and Viswanath, All-but-the-Top, 2018, the mean alone.

    Args:
        network: in evaluation mode, whose last bias is changed.
        discrete: (N, tables) int64.
        acoustic: (N, width) float32.
        chunk: tracks at a time.
    """
    parts = zip(discrete.split(chunk), acoustic.split(chunk), strict=True)  # type: ignore[no-untyped-call]
    total = torch.stack([network.direction(*part).sum(dim=0) for part in parts]).sum(dim=0)
    last = network.backbone[-1]
    if isinstance(last, torch.nn.Linear):
        last.bias.sub_(total / len(discrete))
