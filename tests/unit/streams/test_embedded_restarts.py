"""How patiently dead children are restarted."""

from hypothesis import given
from hypothesis import strategies as st

from streams.embedded.restarts import RestartPolicy


def test_delay_doubles_with_each_death_up_to_the_cap() -> None:
    policy = RestartPolicy(first_delay_s=0.5, longest_delay_s=3.0)
    assert [policy.delay_s(failures) for failures in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.integers(min_value=1, max_value=10**9))
def test_delay_never_passes_the_cap_however_often_a_child_dies(failures: int) -> None:
    assert 0 < RestartPolicy().delay_s(failures) <= RestartPolicy().longest_delay_s


def test_long_life_has_earlier_deaths_forgiven() -> None:
    policy = RestartPolicy(reset_after_s=60)
    assert policy.failures_after(7, ready_for_s=60) == 1
    assert policy.failures_after(7, ready_for_s=59) == 8
