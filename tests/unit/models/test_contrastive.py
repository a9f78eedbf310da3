"""Training brings together what belongs together, by the loss that the paper states."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import contrastive
from models.contrastive import (
    STEPS_LEAST,
    VIEWS,
    Examples,
    Training,
    centre,
    dated_pairs,
    forget_unseen,
    hide_years,
    info_nce,
    train,
    with_gaps,
)
from models.embeat_mlp import Config
from models.errors import CheckpointMismatch, TooFewTracks
from models.features import Sound
from models.network import Network, frozen
from models.pairs import PairSampler, groups_of
from models.progress import EVERY
from models.quality import nearest_rows, share_alike
from models.rich_inputs import DATED, NAMES, RICH
from tests.unit.models.sounds import sound

SMALL = Config(tower_width=16, backbone_width=32, output_width=8, dropout=0.0)


def unit_rows(rows: int, seed: int) -> Tensor:
    drawn = torch.tensor(np.random.default_rng(seed).normal(size=(rows, 6)), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=1)


def loss_by_the_formula(anchors: Tensor, positives: Tensor, owners: Tensor, temperature: float) -> Tensor:
    """Mean of -log(exp(own) / sum of exp over own and all that are negatives), pair by pair."""
    terms = []
    for i, (anchor, owner) in enumerate(zip(anchors, owners[:, 0].tolist(), strict=True)):
        below = [torch.exp(anchor @ positives[i] / temperature)]
        for j, other in enumerate(owners[:, 1].tolist()):
            if j != i and (owner < 0 or owner != other):
                below.append(torch.exp(anchor @ positives[j] / temperature))
        terms.append(torch.log(torch.stack(below).sum()) - anchor @ positives[i] / temperature)
    return torch.stack(terms).mean()


@pytest.mark.parametrize("chunk", [1, 3, 13, 100])
def test_chunked_loss_and_gradient_are_those_of_the_whole_batch(chunk: int) -> None:
    anchors, positives = unit_rows(13, 1), unit_rows(13, 2)
    owners = torch.tensor(np.random.default_rng(3).integers(-1, 4, (13, 2)))
    left, right = anchors.clone().requires_grad_(), positives.clone().requires_grad_()
    expected = loss_by_the_formula(left, right, owners, 0.3)
    gradients = torch.autograd.grad(expected, (left, right))
    loss, gradient = info_nce(anchors, positives, owners, 0.3, chunk)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    np.testing.assert_allclose(gradient.numpy(), torch.stack(gradients).numpy(), atol=1e-9)


def test_pairs_of_one_artist_are_no_negatives_of_each_other() -> None:
    owners = torch.tensor([[5, 5], [5, 5], [5, 5]])
    loss, gradient = info_nce(unit_rows(3, 1), unit_rows(3, 2), owners, 0.1, 2)
    assert float(loss) == 0  # nothing is left but the positive itself
    assert not gradient.any()


def test_tracks_of_unknown_artists_are_negatives_of_each_other() -> None:
    same = torch.ones(4, 1)
    loss, _ = info_nce(same, same, torch.full((4, 2), -1), 0.1, 4)
    assert float(loss) == pytest.approx(math.log(4))


def test_a_negative_is_judged_by_its_own_artist_not_by_its_anchors() -> None:
    """The second pair comes from a playlist: its positive is of the first anchor's artist."""
    same = torch.ones(2, 1)
    loss, _ = info_nce(same, same, torch.tensor([[1, 1], [2, 1]]), 0.1, 2)
    assert float(loss) == pytest.approx((0 + math.log(2)) / 2)


def test_a_batch_without_pairs_is_refused() -> None:
    with pytest.raises(TooFewTracks, match="one or more pairs"):
        info_nce(torch.zeros(0, 4), torch.zeros(0, 4), torch.zeros(0, 2, dtype=torch.int64), 0.1, 2)


def test_a_batch_of_4096_never_holds_more_similarities_than_a_chunk() -> None:
    """All of them would be 4096 rows wide and high: 64 MB, several times over."""
    rows = torch.nn.functional.normalize(torch.rand(4096, 8), dim=1)
    largest = 0

    def look(tensor: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(look, lambda tensor: tensor):
        info_nce(rows, rows, torch.arange(8192).reshape(4096, 2), 0.1, 128)
    assert largest == 128 * 4096


def test_drawn_pairs_are_two_tracks_of_one_group_in_the_stated_part_of_each_relation() -> None:
    album = [np.array([0, 1]), np.array([2, 3, 4])]
    playlist = [np.array([10, 11, 12, 13])]
    groups = {"album": [*album, np.array([7])], "artist": [], "playlist": playlist, "label": [np.array([8, 9])]}
    sampler = PairSampler(groups, {"album": 3.0, "artist": 5.0, "playlist": 1.0})
    pairs = sampler.draw(1000, np.random.default_rng(1))
    assert pairs.shape == (1000, 2)
    allowed = [set(group.tolist()) for group in album + playlist]
    for one, other in pairs.tolist():
        assert one != other
        assert any({one, other} <= group for group in allowed)
    assert (pairs >= 10).all(axis=1).sum() == 250  # of the relations that have groups, 1 in 4
    assert set(pairs.ravel().tolist()) == {0, 1, 2, 3, 4, 10, 11, 12, 13}


def test_every_pair_of_a_group_is_as_likely() -> None:
    pairs = PairSampler({"album": [np.array([4, 5, 6])]}, {"album": 1.0}).draw(6000, np.random.default_rng(3))
    counted = Counter(map(tuple, pairs.tolist()))
    assert len(counted) == 6
    assert all(count == pytest.approx(1000, abs=120) for count in counted.values())


def test_groups_are_drawn_by_the_root_of_their_size() -> None:
    groups = {"artist": [np.arange(0, 4), np.arange(4, 40)]}
    pairs = PairSampler(groups, {"artist": 1.0}).draw(4000, np.random.default_rng(2))
    assert (pairs[:, 0] < 4).mean() == pytest.approx(2 / (2 + 6), abs=0.03)


def test_tracks_that_share_nothing_are_refused() -> None:
    with pytest.raises(TooFewTracks, match="expected tracks that share one of album, artist, got none"):
        PairSampler({"album": [], "artist": [np.array([3])]}, {"album": 1.0, "artist": 1.0})


def test_groups_are_the_rows_of_each_known_label_that_has_two() -> None:
    labels = np.array([5, -1, 2, 5, 9, 2, -1, 5])
    assert [group.tolist() for group in groups_of(labels)] == [[2, 5], [0, 3, 7]]
    assert groups_of(np.array([-1, 3], dtype=np.int64)) == []
    assert groups_of(np.zeros(0, dtype=np.int64)) == []


def loud_and_quiet(count: int) -> list[Sound]:
    """Even tracks are energetic, odd ones acoustic; the rest is noise."""
    rng = np.random.default_rng(8)
    noise = rng.random((count, 4)).round(3).tolist()
    names = ("danceability", "valence", "liveness", "speechiness")
    return [
        sound(energy=0.9 - 0.7 * (row % 2), acousticness=0.1 + 0.7 * (row % 2), **dict(zip(names, drawn, strict=True)))
        for row, drawn in enumerate(noise)
    ]


def examples(count: int) -> Examples:
    """Groups of five tracks, all of one kind; no artist is known."""
    rows = np.arange(count)
    groups = [part for kind in (0, 1) for part in np.array_split(rows[rows % 2 == kind], count // 10)]
    return Examples(loud_and_quiet(count), {"playlist": groups}, np.full(count, -1))


def quick(seed: int = 1) -> Training:
    return Training(steps=40, batch=64, chunk=40, temperature=0.2, seed=seed)


def test_a_track_held_out_lands_among_its_kind() -> None:
    model = frozen(train(examples(200), quick(), SMALL), "trained")
    vectors = model.embed(loud_and_quiet(260))
    held_out = np.arange(200, 260)
    kinds = np.arange(260) % 2
    assert share_alike(nearest_rows(vectors, held_out, np.arange(260)), held_out, kinds).mean() > 0.95


def state(network: Network) -> NDArray[np.float32]:
    return np.concatenate([tensor.numpy().astype(np.float32).ravel() for tensor in network.state_dict().values()])


def test_the_same_seed_gives_the_same_weights_and_another_gives_others() -> None:
    trained = []
    for before, seed in ((70, 1), (71, 1), (70, 2)):
        torch.manual_seed(before)  # what the caller drew before must not matter
        trained.append(state(train(examples(40), quick(seed), SMALL)))
    first, again, other = trained
    assert (first == again).all()
    assert not np.allclose(first, other)


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(9)
    expected = torch.rand(2)
    torch.manual_seed(9)
    train(examples(40), Training(steps=1, batch=8), SMALL)
    assert torch.equal(torch.rand(2), expected)


def test_every_step_is_told_once_in_order_with_a_falling_loss() -> None:
    told: list[tuple[int, float]] = []
    train(examples(200), quick(), SMALL, lambda step, loss: told.append((step, loss)))
    assert [step for step, _ in told] == list(range(40))
    losses = [loss for _, loss in told]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_a_discrete_value_that_training_never_saw_counts_as_unknown() -> None:
    model = frozen(train(examples(40), Training(steps=2, batch=8), SMALL), "trained")
    seen = model.embed([sound()])
    for unseen in ({"key": 3}, {"mode": 1}, {"time_signature": 5}):
        assert (model.embed([sound(**unseen)]) == seen).all(), unseen


@pytest.mark.parametrize(("gaps", "learned"), [(0.5, True), (0.0, False)])
def test_unknown_is_learned_although_every_track_is_known(gaps: float, learned: bool) -> None:
    """What is never hidden is never learned: weight decay shortens its row, and nothing turns it."""
    tracks = [sound(key=row % 12, energy=row / 40) for row in range(40)]
    known = Examples(tracks, {"album": [np.arange(20), np.arange(20, 40)]}, np.full(40, -1))
    training = Training(steps=30, batch=32, gaps=gaps)
    torch.manual_seed(training.seed)
    before = Network(SMALL).key_embedding.weight[0]
    after = train(known, training, SMALL).key_embedding.weight[0]
    assert (torch.cosine_similarity(before, after, dim=0).item() < 1 - 1e-5) is learned


def test_gaps_are_what_unknown_features_look_like_in_the_stated_share_of_tracks() -> None:
    track = sound(key=3, mode=1, time_signature=4, loudness=-7.0, tempo=99.0, duration_ms=200_000)
    discrete, acoustic = (torch.from_numpy(one) for one in RICH.arrays([track] * 4000))
    shown = with_gaps(discrete, acoustic, RICH, Training(gaps=0.2, hidden=0.5))
    touched = (shown[0] != discrete).any(dim=1) | (shown[1] != acoustic).any(dim=1)
    assert touched.float().mean().item() == pytest.approx(0.2, abs=0.03)
    flags = shown[1][:, -len(NAMES) :]
    assert flags.mean().item() == pytest.approx(0.1, abs=0.02)
    for at, number in enumerate(RICH.numbers):
        assert not shown[1][flags[:, at] == 1][:, number.columns].any()
        assert torch.equal(
            shown[1][flags[:, at] == 0][:, number.columns], acoustic[flags[:, at] == 0][:, number.columns]
        )
    assert torch.equal(acoustic[0], acoustic[-1])  # what was given stays


@pytest.mark.parametrize("odds", [0.5, 0.0, 1.0])
def test_hidden_years_are_what_unknown_ones_look_like(odds: float) -> None:
    tracks = [sound(energy=0.3)._replace(release_date=str(1990 + number % 20)) for number in range(2000)]
    _, acoustic = (torch.from_numpy(one) for one in DATED.arrays(tracks))
    before = acoustic.clone()
    hide_years(acoustic, DATED, odds)
    hidden = acoustic[:, -1] == 1
    assert hidden.float().mean().item() == pytest.approx(odds, abs=0.05)
    assert not acoustic[hidden, -2].any()
    assert torch.equal(acoustic[~hidden], before[~hidden])
    assert torch.equal(acoustic[:, :-2], before[:, :-2])


def test_years_are_compared_among_tracks_whose_year_is_known() -> None:
    dates = ["1999", None, "2001-05", None, "2003"]
    tracks = [sound()._replace(release_date=date) for date in dates]
    groups = {"album": [np.arange(3)], "artist": [np.arange(5)], "genre": [np.array([1, 3])]}
    known = Examples(tracks, groups, np.full(5, -1))
    _, acoustic = (torch.from_numpy(one) for one in DATED.arrays(tracks))
    found = dated_pairs(known, acoustic, DATED, Training())
    assert found is not None
    assert set(found.draw(500, np.random.default_rng(1)).ravel().tolist()) == {0, 2, 4}
    _, undated = (torch.from_numpy(one) for one in DATED.arrays([one._replace(release_date=None) for one in tracks]))
    assert dated_pairs(known, undated, DATED, Training()) is None
    _, rich = (torch.from_numpy(one) for one in RICH.arrays(tracks))
    assert dated_pairs(known, rich, RICH, Training()) is None


def test_no_batch_can_tell_by_its_years_where_tracks_are_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either none of a batch has a year, or all tracks come from what states years, and half of them hide theirs."""
    tracks = [
        sound(key=0 if number % 2 else 1, energy=number / 80)._replace(release_date="2003" if number % 2 else None)
        for number in range(80)
    ]
    known = Examples(tracks, {"album": list(np.arange(80).reshape(20, 4))}, np.full(80, -1))
    seen: list[tuple[float, float]] = []
    learn = contrastive._learn

    def watched(network: Network, batch: tuple[Tensor, Tensor], *more: Any) -> Tensor:
        seen.append(((batch[1][:, -1] == 0).float().mean().item(), (batch[0][:, 0] == 1).float().mean().item()))
        return learn(network, batch, *more)

    monkeypatch.setattr(contrastive, "_learn", watched)
    train(known, Training(steps=200, batch=64, gaps=0.0, dated=0.3), SMALL)
    dated = [(with_year, of_dated) for with_year, of_dated in seen if with_year]
    assert len(dated) / len(seen) == pytest.approx(0.3, abs=0.1)
    assert {of_dated for _, of_dated in dated} == {1.0}
    assert np.mean([with_year for with_year, _ in dated]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([of_dated for with_year, of_dated in seen if not with_year]) == pytest.approx(0.5, abs=0.05)


def test_a_discrete_value_that_training_saw_keeps_its_row() -> None:
    network = Network(SMALL)
    before = [table.weight.detach().clone() for table in network.tables]
    forget_unseen(network, torch.from_numpy(DATED.arrays([sound(key=3, time_signature=5)])[0]))
    seen = ({0, 4}, {0}, {0, 3})
    for table, old, kept in zip(network.tables, before, seen, strict=True):
        for row, values in enumerate(table.weight):
            assert torch.equal(values, old[row if row in kept else 0])


def test_the_vectors_of_what_was_trained_on_point_to_all_sides() -> None:
    known = examples(200)
    network = train(known, quick(), SMALL)
    vectors = frozen(network, "trained").embed(known.tracks)
    assert np.linalg.norm(vectors.mean(axis=0)) < 0.2


def test_centring_takes_the_mean_from_every_direction_and_nothing_else() -> None:
    discrete, acoustic = (torch.from_numpy(one) for one in DATED.arrays(loud_and_quiet(50)))
    network = Network(SMALL).eval()
    with torch.no_grad():
        before = network.direction(discrete, acoustic)
        centre(network, discrete, acoustic, chunk=7)
        np.testing.assert_allclose(network.direction(discrete, acoustic), before - before.mean(dim=0), atol=1e-6)


class Stopped(Exception):
    pass


def stop_at(last: int) -> Callable[[int, float], None]:
    def on_step(step: int, loss: float) -> None:
        if step == last:
            raise Stopped

    return on_step


def long(seed: int = 1) -> Training:
    return Training(steps=EVERY + 20, batch=32, seed=seed)


@pytest.mark.parametrize("last", [3, EVERY + 7])
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path: Path, last: int) -> None:
    path = tmp_path / "mine.progress"
    with pytest.raises(Stopped):
        train(examples(40), long(), SMALL, stop_at(last), path)
    told: list[int] = []
    resumed = train(examples(40), long(), SMALL, lambda step, loss: told.append(step), path)
    assert told == list(range(EVERY if last > EVERY else 0, EVERY + 20))
    assert (state(resumed) == state(train(examples(40), long(), SMALL))).all()
    assert list(tmp_path.iterdir()) == []


def test_the_progress_of_another_training_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.progress"
    with pytest.raises(Stopped):
        train(examples(40), long(), SMALL, stop_at(EVERY), path)
    for other, training in ((examples(40), long(seed=2)), (examples(60), long())):
        with pytest.raises(CheckpointMismatch, match=r"mine\.progress: expected the progress of this training"):
            train(other, training, SMALL, progress_path=path)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_damaged_progress_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.progress"
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatch, match=r"mine\.progress: expected the progress of a training"):
        train(examples(40), long(), SMALL, progress_path=path)


def test_each_track_is_shown_about_ten_times_unless_steps_are_given_or_that_were_too_few() -> None:
    assert Training(batch=100).steps_for(10_000) == VIEWS * 10_000 / 200
    assert Training(batch=100, steps=7).steps_for(10_000) == 7
    assert Training().steps_for(2) == STEPS_LEAST
