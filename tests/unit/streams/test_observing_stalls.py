from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streams.observing.stalls import PARTITION_PATIENCE, Place, Stalls, Standing

A0, A1, B0 = Place("a", 0), Place("a", 1), Place("b", 0)


def seen(*looks: dict[Place, tuple[int, int]], excused: tuple[str, ...] = (), step_s: float = 5.0) -> Stalls:
    """After one look every `step_s`; a standing is (through, end)."""
    stalls = Stalls()
    for look in looks:
        stalls.see({place: Standing(*standing) for place, standing in look.items()}, step_s, excused)
    return stalls


def test_lag_that_does_not_shrink_is_counted_from_the_second_look() -> None:
    stalls = seen({A0: (3, 10)}, {A0: (3, 10)}, {A0: (3, 12)})
    assert stalls.seconds == {"a": 10.0}
    suspicion = stalls.suspicion(10.0)
    assert suspicion is not None
    assert suspicion.places == (A0,)
    assert suspicion.reason == "a is 9 records behind, and none was acknowledged for 10 s"
    assert stalls.suspicion(10.1) is None


def test_worker_that_is_slow_but_moves_is_no_suspect() -> None:
    stalls = seen(*({A0: (done, 10_000)} for done in range(50)))
    assert stalls.seconds == {"a": 0.0}


def test_topic_without_lag_may_rest_for_ever() -> None:
    assert seen(*[{A0: (10, 10)}] * 50).seconds == {"a": 0.0}


def test_lag_after_a_long_rest_starts_a_new_count() -> None:
    stalls = seen(*[{A0: (10, 10)}] * 50, {A0: (10, 11)}, {A0: (10, 11)})
    assert stalls.seconds == {"a": 5.0}


def test_progress_of_one_partition_is_progress_of_its_topic() -> None:
    looks = [{A0: (3, 10), A1: (done, 100)} for done in range(4)]
    assert seen(*looks).seconds == {"a": 0.0}


def test_progress_of_another_topic_is_none() -> None:
    looks = [{A0: (3, 10), B0: (done, 100)} for done in range(4)]
    assert seen(*looks).seconds == {"a": 15.0, "b": 0.0}


def test_partition_that_is_left_behind_is_told_after_a_longer_time() -> None:
    looks = [{A0: (3, 10), A1: (done, 100)} for done in range(2 * PARTITION_PATIENCE + 1)]
    assert seen(*looks[:-1]).suspicion(10.0) is None
    suspicion = seen(*looks).suspicion(10.0)
    assert suspicion is not None
    assert suspicion.places == (A0,)
    assert suspicion.reason.startswith("a[0] is 7 records behind")


def test_topic_that_waits_for_a_store_is_excused_and_counts_anew() -> None:
    stalls = seen(*[{A0: (3, 10)}] * 20, excused=("a",))
    assert stalls.seconds == {"a": 0.0}
    stalls.see({A0: Standing(3, 10)}, 5.0)
    assert stalls.seconds == {"a": 5.0}


def test_partition_that_has_just_come_has_its_time() -> None:
    stalls = seen({A0: (3, 10)}, {A0: (3, 10)}, {A0: (3, 10), A1: (0, 5)})
    assert stalls.seconds == {"a": 0.0}


def test_partition_that_has_gone_is_forgotten() -> None:
    assert seen({A0: (3, 10)}, {A0: (3, 10)}, {}).seconds == {}


def test_nothing_is_held_against_the_time_that_was_not_seen() -> None:
    stalls = seen(*[{A0: (3, 10)}] * 3)
    stalls.forget()
    stalls.see({A0: Standing(3, 10)}, 5.0)
    assert stalls.seconds == {"a": 0.0}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_count_is_the_number_of_looks_since_the_last_progress(looks: list[tuple[int, int]]) -> None:
    stalls = seen(*({A0: (through, through + lag)} for through, lag in looks), step_s=1.0)
    still = 0
    for (before, lag_before), (now, lag_now) in itertools.pairwise(looks):
        still = still + 1 if before == now and lag_before and lag_now else 0
    assert stalls.seconds == {"a": float(still)}
