"""In which order children may start and stop."""

from pathlib import Path

import pytest

from streams.embedded.child import Child
from streams.embedded.errors import UnknownDependency
from streams.embedded.supervisor import start_waves


def child(name: str, *after: str) -> Child:
    return Child(name=name, argv=("true",), log_path=Path("log"), after=after)


def test_children_without_dependencies_stand_in_the_first_wave_together() -> None:
    waves = start_waves([child("worker", "kafka", "redis"), child("redis"), child("gateway", "worker"), child("kafka")])
    assert [sorted(wave) for wave in waves] == [["kafka", "redis"], ["worker"], ["gateway"]]


def test_unknown_dependency_is_refused_by_name() -> None:
    with pytest.raises(UnknownDependency, match="worker starts after qdrant, but no child has that name"):
        start_waves([child("worker", "qdrant")])


def test_children_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(UnknownDependency, match=r"wait for each other: (a after b after a|b after a after b)"):
        start_waves([child("a", "b"), child("b", "a")])


def test_two_children_of_one_name_are_refused() -> None:
    with pytest.raises(UnknownDependency, match="two children are named a"):
        start_waves([child("a"), child("a")])
