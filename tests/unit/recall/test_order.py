from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.embeat_mlp import EmbeatMLP, load_checkpoint
from recall.order import ARC, ENERGY, KEY, SOUND, TEMPO, Costs, better_order, costs_of, in_order
from recall.tracks import CataloguedTrack, Vector
from streams.catalogue import sample_tracks
from streams.importing.tracks import open_tracks
from tests.unit.recall.tracks import direction, track
from topics.errors import RecordRefused
from topics.records import Features, Track


def sounding(number: int, **features: float) -> CataloguedTrack:
    return track(f"t{number}", features=Features(**features))


def cost(one: Features, other: Features) -> float:
    """Of hearing one after the other, in halves of what its weight is: worked out by hand."""
    return float(costs_of([track("a", features=one), track("b", features=other)], {}).between[0, 1])


@pytest.mark.parametrize(
    ("one", "other", "octaves"),
    [(120, 120, 0), (70, 140, 0), (140, 70, 0), (60, 240, 0), (100, 100 * 2**0.25, 0.25), (100, 100 * 2**0.75, 0.25)],
)
def test_half_and_double_time_are_one_pulse(one: float, other: float, octaves: float) -> None:
    assert cost(Features(tempo=one), Features(tempo=other)) == pytest.approx(TEMPO * 2 * octaves)


C, G, D, F, F_SHARP, A, E_FLAT = 0, 7, 2, 5, 6, 9, 3


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [
        ((C, 1), (C, 1), 0),
        ((C, 1), (G, 1), 1),
        ((C, 1), (F, 1), 1),
        ((C, 1), (D, 1), 2),
        ((C, 1), (F_SHARP, 1), 6),
        ((C, 1), (A, 0), 1),  # the relative minor: 8B and 8A on the Camelot wheel
        ((C, 1), (C, 0), 4),  # 8B and 5A
        ((A, 0), (C, 0), 3),  # 8A and 5A
        ((E_FLAT, 1), (C, 0), 1),  # 5B and 5A
    ],
)
def test_keys_are_as_far_apart_as_on_the_wheel(one: tuple[int, int], other: tuple[int, int], steps: int) -> None:
    found = cost(Features(key=one[0], mode=one[1]), Features(key=other[0], mode=other[1]))
    assert found == pytest.approx(KEY * steps / 7)


def test_energy_and_sound_cost_what_they_differ() -> None:
    assert cost(Features(energy=0.2), Features(energy=0.9)) == pytest.approx(ENERGY * 0.7)
    vectors = {"a": direction(0), "b": direction(180)}
    assert costs_of([track("a"), track("b")], vectors).between[0, 1] == pytest.approx(SOUND)


def test_what_is_unknown_costs_what_it_costs_others() -> None:
    tracks = [sounding(0, energy=0.0), sounding(1, energy=0.6), track("mute")]
    between = costs_of(tracks, {}).between
    # Of the known pairs, each with itself among them, the mean is 0.3.
    assert between[0, 2] == between[2, 1] == pytest.approx(ENERGY * 0.3)
    assert np.isfinite(costs_of([track("a"), track("b"), track("c")], {}).between).all()


numbers = st.floats(0, 1, allow_nan=False)
lists = st.lists(st.tuples(numbers, numbers, st.integers(-1, 11), st.booleans()), max_size=9)


def made(rows: list[tuple[float, float, int, bool]]) -> list[CataloguedTrack]:
    return [
        sounding(i, energy=energy, tempo=60 + 120 * tempo, key=key, mode=1) if known else track(f"t{i}")
        for i, (energy, tempo, key, known) in enumerate(rows)
    ]


@settings(deadline=None)
@given(lists)
def test_each_track_is_heard_once_the_first_first_and_no_exchange_of_two_is_better(
    rows: list[tuple[float, float, int, bool]],
) -> None:
    tracks = made(rows)
    order = in_order(tracks, {})
    assert sorted(order) == list(range(len(tracks)))
    assert order[:1] == [0][: len(tracks)]
    if len(tracks) > 2:
        costs = costs_of(tracks, {})
        for one, other in itertools.combinations(range(1, len(order)), 2):
            changed = list(order)
            changed[one], changed[other] = changed[other], changed[one]
            assert by_hand(costs, order) <= by_hand(costs, changed) + 1e-6


def by_hand(costs: Costs, order: list[int]) -> float:
    """The objective, one position at a time."""
    steps = sum(costs.between[one, other] for one, other in itertools.pairwise(order))
    return float(steps + ARC * sum(costs.at[one, position] for position, one in enumerate(order)))


def test_energy_rises_to_a_peak_and_comes_down_again() -> None:
    rng = np.random.default_rng(3)
    tracks = [sounding(i, energy=float(energy)) for i, energy in enumerate([0.1, *rng.uniform(0, 1, 29)])]
    heard = [tracks[place].features.energy or 0.0 for place in in_order(tracks, {})]
    thirds = [float(np.mean(heard[start : start + 6])) for start in (0, 16, 24)]
    assert thirds[0] + 0.2 < thirds[1] > thirds[2] + 0.2


def test_better_order_tells_what_it_saves_and_leaves_what_is_smooth() -> None:
    # Energies 0.0 0.9 0.1 0.8 change by 2.4 in three steps; up to the peak and down, 0.0 0.8 0.9 0.1, by 1.7.
    jumping = [sounding(at, energy=energy) for at, energy in enumerate([0.0, 0.9, 0.1, 0.8])]
    order, now, better = better_order(jumping, {})
    assert order == [0, 3, 1, 2]
    assert (now, better) == (pytest.approx(ENERGY * 2.4 / 3), pytest.approx(ENERGY * 1.7 / 3))
    # Rising all along is as smooth as can be, though it has no end that comes down.
    rising = [sounding(at, energy=energy) for at, energy in enumerate([0.0, 0.3, 0.6, 0.9])]
    assert better_order(rising, {}) == ([0, 1, 2, 3], pytest.approx(ENERGY * 0.3), pytest.approx(ENERGY * 0.3))
    same = [sounding(at, energy=0.5) for at in range(5)]
    assert better_order(same, {})[0] == [0, 1, 2, 3, 4]
    assert better_order(same[:1], {}) == ([0], 0.0, 0.0)


@pytest.fixture(scope="module")
def sample() -> tuple[list[CataloguedTrack], dict[str, Vector]]:
    """Tracks of the sample, two thousand of them, with their vectors."""
    source = open_tracks(sample_tracks())
    records: list[Track] = []
    for item in itertools.islice(source.items(), 2_000):
        try:
            record = source.convert(item)
        except RecordRefused:
            continue
        if isinstance(record, Track) and record.features is not None:
            records.append(record)
    model: EmbeatMLP = load_checkpoint()
    known = [record for record in records if model.can_embed(record)]
    vectors = model.embed(known)
    tracks = [CataloguedTrack(record.track_id, record.title, features=record.features) for record in known]
    return tracks, {one.track_id: vector for one, vector in zip(tracks, vectors, strict=True)}


@pytest.mark.parametrize("count", [30, 100])
def test_transitions_cost_a_third_less_than_unordered(
    sample: tuple[list[CataloguedTrack], dict[str, Vector]], count: int
) -> None:
    tracks, vectors = sample
    rng = np.random.default_rng(11)
    saved = []
    for _ in range(20):
        some = [tracks[int(place)] for place in rng.choice(len(tracks), count, replace=False)]
        costs = costs_of(some, vectors)
        saved.append(1 - costs.transition(in_order(some, vectors)) / costs.transition(range(count)))
    assert float(np.mean(saved)) >= 0.30
    assert min(saved) > 0.1
