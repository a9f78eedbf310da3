"""Real parts for the tests that need them: one Kafka and one Redis a test session, a new installation prefix a test."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator

import pytest

from streams.embedded.stack import RunningStack, running_stack


def pytest_configure() -> None:
    """Signals as in a terminal: a run under nohup or in the background ignores some, and so would all it starts."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # As every worker does before NumPy and torch are loaded; the tests share two cores.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Kafka and Redis, started once; a test that kills a part uses a stack of its own."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """A name of an installation that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"
