"""Work that can wait leaves the processor to answers, which the scheduler alone does not bring about.

Linux's idle policy takes a core away at once when somebody wants it. But cores share caches, memory and often the units
that compute: on two of them, answers took 1.7 times as long while another process kept the second one busy.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from streams.embedded.process import may_be_stopped

# Its turns, and how long it rests after each: an answer meets one at most for a part of its time.
TURN_S, REST_S = 0.02, 0.06
LOOK_S = 1.0
# Cores that others keep busy when a stack is at rest: below, nobody is in a hurry.
AT_REST = 0.35
# Where there is no way to run only when nothing else wants to.
YIELDING = 15


@contextmanager
def giving_way(pid: int) -> Iterator[None]:
    """A process of ours runs last, and while others are busy only by turns, until the end of the block.

    Whoever starts it ties it to this process (`streams.embedded.process.tied`), whose end would leave it stopped.
    """
    ended = threading.Event()
    with suppress(ProcessLookupError):
        _run_last(pid)
    pacing = threading.Thread(target=_pace, args=(pid, ended), name=f"pace of {pid}", daemon=True)
    pacing.start()
    try:
        yield
    finally:
        ended.set()
        pacing.join()


def _run_last(pid: int) -> None:
    """Linux's idle policy gives way at once when an answer wants the core; a low priority ends its turn first."""
    if sys.platform == "linux":
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.setpriority(os.PRIO_PROCESS, pid, YIELDING)


def _pace(pid: int, ended: threading.Event) -> None:
    """By turns while others are busy, from the first second on."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        before, busy = _times(process), True
        while not ended.is_set():
            _by_turns(process, ended) if busy and may_be_stopped(process) else ended.wait(LOOK_S)
            now = _times(process)
            busy, before = now[0] - before[0] > AT_REST * (now[1] - before[1]), now


def _by_turns(process: psutil.Process, ended: threading.Event) -> None:
    """For `LOOK_S`; it runs when this returns."""
    for _ in range(round(LOOK_S / (TURN_S + REST_S))):
        process.suspend()
        ended.wait(REST_S)
        process.resume()
        if ended.wait(TURN_S):
            return


def _times(process: psutil.Process) -> tuple[float, float]:
    """Processor seconds of all others so far, and what the clock says."""
    every, own = psutil.cpu_times(), process.cpu_times()
    idle_s = every.idle + getattr(every, "iowait", 0.0)
    return sum(every[:8]) - idle_s - own.user - own.system, time.monotonic()
