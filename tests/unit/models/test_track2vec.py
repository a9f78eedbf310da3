"""Track2Vec on lists whose structure is known: what belongs together comes together, and each record counts once."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import CheckpointMismatch, StateInUse, TooFewTracks
from models.journal import Journal, read_frames
from models.track2vec import PLAYLIST, SESSION, Change, Config, Track2Vec
from models.track2vec_file import load, save
from models.track2vec_state import FILE, LearnedState
from models.track2vec_training import beginning, begun_anew, train

SMALL = Config(dimensions=16, passes=20, stream_passes=20)
GROUPS = 4


def group_lists(count: int, seed: int = 5, first: int = 0) -> list[Change]:
    """Lists of eight of the twelve tracks of one of four groups: g0t0 to g3t11."""
    draw = random.Random(seed)
    return [
        Change("playlists", 0, n, f"{PLAYLIST}{n}", tuple(f"g{n % GROUPS}t{m}" for m in draw.sample(range(12), 8)))
        for n in range(first, first + count)
    ]


def trained(count: int = 60) -> Track2Vec:
    model = beginning(group_lists(count), SMALL, seed=3)
    train(model)
    return model


def cosine(model: Track2Vec, one: str, other: str) -> float:
    first, second = model.places(model.rows_of([one, other]))
    return float(first @ second)


def purity(model: Track2Vec) -> float:
    """Share of the 5 nearest tracks that are of the track's own group."""
    ids = [i for i in model.track_ids if i.startswith("g")]
    places = model.places(np.array([model.rows[i] for i in ids], np.int32))
    alike = places @ places.T
    np.fill_diagonal(alike, -2)
    nearest = np.argsort(-alike, axis=1)[:, :5]
    return float(np.mean([[ids[n][:2] == one[:2] for n in row] for one, row in zip(ids, nearest, strict=True)]))


def held_counts(model: Track2Vec) -> dict[str, int]:
    """How many of the lists hold each track, from the lists themselves."""
    found = dict.fromkeys(model.track_ids, 0)
    for listed in model.lists:
        for row in listed.rows.tolist():
            found[model.track_ids[row]] += 1
    return found


def counts(model: Track2Vec) -> dict[str, int]:
    return dict(zip(model.track_ids, model.skipgram.counts.tolist(), strict=True))


def settled(model: Track2Vec) -> Track2Vec:
    while model.due:
        model.settle()
    return model


def test_training_brings_together_what_lists_hold_together() -> None:
    assert purity(trained()) > 0.95


def test_lists_that_arrive_bring_together_as_training_does() -> None:
    model = Track2Vec(SMALL, seed=3)
    model.absorb(group_lists(60))
    assert purity(settled(model)) > 0.95


def test_same_seed_gives_the_same_vectors_and_another_seed_others() -> None:
    again = trained()
    np.testing.assert_array_equal(trained().skipgram.vectors, again.skipgram.vectors)
    other = beginning(group_lists(60), SMALL, seed=4)
    train(other)
    assert not np.allclose(other.skipgram.vectors, again.skipgram.vectors)


def test_new_track_finds_its_group_and_the_others_stay_where_they_are() -> None:
    model = trained()
    before = model.places(np.arange(48, dtype=np.int32))
    model.absorb([Change("playlists", 0, 100, "p:new", ("new", "g1t0", "g1t1", "g1t2"))])
    settled(model)
    assert cosine(model, "new", "g1t0") > 0.6
    assert cosine(model, "new", "g1t0") > cosine(model, "new", "g2t0") + 0.3
    after = model.places(np.arange(48, dtype=np.int32))
    assert float((before * after).sum(axis=1).min()) > 0.9
    drift = model.drift()
    assert drift is not None
    assert drift == pytest.approx(1 - float((before * after).sum(axis=1).mean()), abs=2e-3)


def test_new_track_begins_where_it_is_told_to() -> None:
    model = trained()
    place = model.places(model.rows_of(["g2t3"]))[0]
    quick = Change("playlists", 0, 100, "p:new", ("new",))
    model.absorb([quick], lambda new: dict.fromkeys(new, place))
    assert cosine(model, "new", "g2t3") > 0.999


def test_record_that_comes_again_has_no_effect() -> None:
    model = Track2Vec(SMALL, seed=3)
    assert model.absorb(group_lists(8)) == 8
    vectors, due = model.skipgram.vectors.copy(), len(model.due)
    assert model.absorb(group_lists(8)) == 0
    np.testing.assert_array_equal(model.skipgram.vectors, vectors)
    assert len(model.due) == due
    assert counts(model) == held_counts(model)


def test_later_version_of_a_list_replaces_the_earlier_one() -> None:
    model = Track2Vec(SMALL, seed=3)
    model.absorb(
        [
            Change("playlists", 0, 0, "p:a", ("x", "y", "z"), 5),
            Change("playlists", 0, 1, "p:a", ("x", "y", "w"), 6),
            Change("playlists", 0, 2, "p:a", ("old", "old2"), 4),
        ]
    )
    assert counts(model) == {"x": 1, "y": 1, "z": 0, "w": 1}
    model.absorb([Change("playlists", 0, 3, "p:a", ("x",), 0)])
    assert {key: value for key, value in counts(model).items() if value} == {"x": 1}


def test_list_that_is_withdrawn_fades() -> None:
    only_together = Change("playlists", 0, 100, "p:bridge", tuple(f"g{n % 2}t{n // 2}" for n in range(24)))
    model = trained()
    apart = cosine(model, "g0t0", "g1t0")
    model.absorb([only_together])
    settled(model)
    together = cosine(model, "g0t0", "g1t0")
    model.absorb([Change("playlists", 0, 101, "p:bridge", None)])
    settled(model)
    assert together > apart + 0.1
    assert cosine(model, "g0t0", "g1t0") < (apart + together) / 2
    assert purity(model) > 0.95
    assert counts(model) == held_counts(model)


def test_list_that_is_withdrawn_before_it_was_gone_over_is_not_gone_over() -> None:
    model = Track2Vec(SMALL, seed=3)
    model.absorb([Change("playlists", 0, 0, "p:new", ("a", "b"))])
    assert model.due == {"p:new": SMALL.stream_passes - 1}
    model.absorb([Change("playlists", 0, 1, "p:new", None)])
    assert model.settle() == 0
    assert not model.due


def test_track_of_which_no_list_is_left_is_nowhere() -> None:
    model = trained()
    model.absorb([Change("playlists", 0, 100, "p:new", ("n1", "n2", "n3"))])
    assert set(model.moved(0.01, 1000)) >= {"n1", "n2", "n3"}
    model.absorb([Change("playlists", 0, 101, "p:new", None)])
    assert model.learned(["n1", "g0t0"]).keys() == {"g0t0"}
    gone = model.moved(0.01, 1000)
    assert not gone["n1"].any()
    assert np.linalg.norm(gone.get("g0t0", np.ones(1))) == pytest.approx(1, abs=1e-5)


def test_only_what_has_moved_is_given_out() -> None:
    model = trained()
    model.was_given(model.track_ids, {i: v for i, (v, _) in model.learned(model.track_ids).items()})
    assert model.moved(0.01, 1000) == {}
    model.absorb([Change("playlists", 0, 100, "p:new", ("n1", "g0t0"))])
    settled(model)
    moved = model.moved(0.01, 1000)
    assert "n1" in moved
    assert len(moved) < 24
    assert model.moved(0.01, 1000) == {}


@pytest.mark.parametrize("size", [0, 1, 10_000])
def test_list_of_any_length_counts_each_track_once(size: int) -> None:
    model = Track2Vec(dataclasses.replace(SMALL, stream_passes=1), seed=3)
    model.absorb([Change("playlists", 0, 0, "p:a", tuple(f"t{n}" for n in range(size)))])
    settled(model)
    assert model.skipgram.counts.tolist() == [1] * size
    assert np.isfinite(model.skipgram.vectors).all()


def test_track_that_a_list_names_a_hundred_times_counts_once() -> None:
    model = Track2Vec(SMALL, seed=3)
    model.absorb([Change("playlists", 0, 0, "p:a", ("t",) * 100), Change("playlists", 0, 1, "p:b", ("t", "u") * 50)])
    settled(model)
    assert counts(model) == {"t": 2, "u": 1}


def test_oldest_sessions_are_forgotten() -> None:
    model = Track2Vec(dataclasses.replace(SMALL, sessions=2), seed=3)
    for n in range(4):
        model.absorb([Change("sessions", 0, n, f"{SESSION}0:{n}", (f"t{n}", "always"))])
    assert counts(model) == {"t0": 0, "always": 2, "t1": 0, "t2": 1, "t3": 1}


tracks = st.lists(st.sampled_from("abcdefgh"), max_size=6).map(tuple)
records = st.tuples(st.sampled_from(["p:1", "p:2", "p:3"]), st.none() | tracks, st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(records, max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_counts_are_what_the_lists_say_however_often_records_come(
    given_records: list[tuple[str, tuple[str, ...] | None, int]], replays: list[int]
) -> None:
    changes = [Change("t", 0, n, key, ids, stamp) for n, (key, ids, stamp) in enumerate(given_records)]
    model = Track2Vec(dataclasses.replace(SMALL, stream_passes=1), seed=3)
    model.absorb(changes)
    for start in replays:
        model.absorb(changes[start:])
    expected: dict[str, tuple[tuple[str, ...], int]] = {}
    for change in changes:
        if change.track_ids is None:
            expected.pop(change.key, None)
        elif change.key not in expected or not 0 < change.updated_at_ms < expected[change.key][1]:
            expected[change.key] = (change.track_ids, change.updated_at_ms)
    wanted = {i: sum(i in ids for ids, _ in expected.values()) for i in "abcdefgh"}
    assert {i: n for i, n in counts(model).items() if n} == {i: n for i, n in wanted.items() if n}


def test_training_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int) -> None:
        if done == 13:
            raise Stopped

    path = tmp_path / "run.progress"
    with pytest.raises(Stopped):
        train(beginning(group_lists(60), SMALL, seed=3), stop, path)
    assert path.exists()
    model, passes = beginning(group_lists(60), SMALL, seed=3), []
    train(model, passes.append, path)
    assert passes[0] == 10
    np.testing.assert_array_equal(model.skipgram.vectors, trained().skipgram.vectors)
    assert not path.exists()


def test_progress_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.progress"
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointMismatch, match=r"run\.progress"):
        train(beginning(group_lists(60), SMALL, seed=3), progress_path=path)


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(TooFewTracks):
        train(beginning([Change("t", 0, 0, "p:a", ("one",))], SMALL, seed=3))


def same(one: Track2Vec, other: Track2Vec) -> bool:
    return (
        one.track_ids == other.track_ids
        and one.offsets == other.offsets
        and counts(one) == counts(other)
        and list(one.sessions) == list(other.sessions)
        and list(one.due.items()) == list(other.due.items())
        and np.array_equal(one.skipgram.vectors, other.skipgram.vectors)
        and np.array_equal(one.skipgram.contexts, other.skipgram.contexts)
        and one.drift() == other.drift()
    )


def test_file_brings_back_all_of_it(tmp_path: Path) -> None:
    model = trained()
    model.absorb([*group_lists(3, first=100), Change("sessions", 2, 7, f"{SESSION}2:7", ("g0t0", "s"))])
    save(model, tmp_path / "m.safetensors", {"more": 1})
    found, manifest = load(tmp_path / "m.safetensors")
    assert same(found, model)
    assert manifest["more"] == 1
    assert begun_anew(found).offsets == model.offsets


@pytest.mark.parametrize("at", [100, -20])
def test_damaged_file_is_refused_by_name(tmp_path: Path, at: int) -> None:
    path = tmp_path / "m.safetensors"
    save(trained(), path, {})
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatch, match=r"m\.safetensors"):
        load(path)


def test_torn_frame_is_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(b"one")
    journal.append(b"two")
    journal.close()
    whole = (tmp_path / "journal").read_bytes()
    for cut in range(len(whole)):
        (tmp_path / "torn").write_bytes(whole[:cut])
        again = Journal(tmp_path / "torn")
        again.append(b"three")
        again.close()
        kept = [b"one"] if cut >= len(whole) // 2 else []
        assert list(read_frames(tmp_path / "torn")) == [*kept, b"three"]


def opened(root: Path) -> LearnedState:
    return LearnedState.open(root, None, "grown", 3)


def died(state: LearnedState) -> None:
    """As kill -9 leaves it: the lock is gone, and nothing is written any more."""
    state._owner.close()


def test_state_survives_a_death_at_any_moment_and_counts_nothing_twice(tmp_path: Path) -> None:
    state = opened(tmp_path)
    identity, changes = state.identity, group_lists(12)
    state.absorb(changes[:4])
    state.snapshot()
    state.absorb(changes[4:8])
    died(state)
    state = opened(tmp_path)
    assert state.identity == identity
    # Kafka brings again what was not acknowledged, and what comes next.
    assert state.absorb(changes[2:12]) == 4
    assert len(state.model.lists) == 12
    assert counts(state.model) == held_counts(state.model)
    state.close()
    again = opened(tmp_path)
    assert same(again.model, state.model)
    again.close()


def test_journal_that_a_crash_left_beside_a_newer_snapshot_is_not_gone_through(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.absorb(group_lists(4))
    former = next(tmp_path.glob("journal-*"))
    content = former.read_bytes()
    state.snapshot()
    former.write_bytes(content)
    next(tmp_path.glob(f"journal-{state._number}")).unlink()
    died(state)
    state = opened(tmp_path)
    assert len(state.model.lists) == 4
    assert not former.exists()
    state.close()


def test_second_learner_is_turned_away(tmp_path: Path) -> None:
    state = opened(tmp_path)
    with pytest.raises(StateInUse, match="cooccurrence"):
        opened(tmp_path)
    state.close()
    opened(tmp_path).close()


def test_state_begins_with_a_trained_model_and_reads_topics_from_their_beginning(tmp_path: Path) -> None:
    save(trained(), tmp_path / "base.safetensors", {})
    state = LearnedState.open(tmp_path / "state", tmp_path / "base.safetensors", "base-1", 3)
    assert state.version.startswith("base-1-")
    assert state.model.offsets == {}
    # The same lists once more are no news; one that has changed is.
    before = counts(state.model)
    state.absorb(group_lists(60))
    assert counts(state.model) == before
    assert not state.model.due
    state.close()
    assert (tmp_path / "state" / FILE).exists()
