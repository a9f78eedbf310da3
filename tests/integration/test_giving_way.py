"""A process that runs by turns while others are busy, and is left running, or gone, when nobody paces it any more."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import psutil
import pytest

from streams import giving_way as module
from streams.giving_way import giving_way
from tests.integration.installation import eventually

BUSY = [sys.executable, "-S", "-c", "while True: pass"]


@pytest.fixture
def busy() -> Iterator[psutil.Process]:
    """A process that never rests by itself."""
    with subprocess.Popen(BUSY) as child:
        yield psutil.Process(child.pid)
        child.kill()


def seconds(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def test_beside_others_it_stops_again_and_again_and_afterwards_runs(
    busy: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_REST", -1.0)
    with giving_way(busy.pid):
        for _ in range(3):
            eventually(lambda: busy.status() == psutil.STATUS_STOPPED)
            eventually(lambda: busy.status() != psutil.STATUS_STOPPED)
    assert busy.status() != psutil.STATUS_STOPPED
    before = seconds(busy)
    eventually(lambda: seconds(busy) > before + 0.1)


def test_alone_it_runs_all_the_time_after_the_first_look(busy: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_REST", 1e9)
    looks = []
    real = module._times
    monkeypatch.setattr(module, "_times", lambda process: looks.append(1) or real(process))  # type: ignore[func-returns-value]
    with giving_way(busy.pid):
        eventually(lambda: len(looks) > 1)
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert busy.status() != psutil.STATUS_STOPPED


def test_a_process_that_has_ended_is_no_error() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with giving_way(child.pid):
        pass


def test_what_is_tied_dies_with_whoever_paces_it_even_while_it_is_stopped() -> None:
    code = """
        import subprocess, sys, time
        from streams import giving_way as module
        from streams.embedded.process import tied
        module.AT_REST = -1.0
        child = subprocess.Popen(tied([sys.executable, "-S", "-c", "while True: pass"]))
        print(child.pid, flush=True)
        with module.giving_way(child.pid):
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pacer:
        assert pacer.stdout is not None
        child = psutil.Process(int(pacer.stdout.readline()))
        eventually(lambda: child.status() == psutil.STATUS_STOPPED)
        pacer.kill()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
