"""Start and end one process so that it never outlives this one."""

import functools
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from streams.embedded.child import Child
from streams.embedded.errors import ChildEnded, ChildNotReady

Process = subprocess.Popen[bytes]
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOG_BYTES = 16 * 1024 * 1024
_Job = tuple[Callable[[], Process], "Future[Process]"]


def spawn(child: Child) -> Process:
    """Start the child in a session of its own, tied to the life of this process, its output appended to its log."""
    child.log_path.parent.mkdir(parents=True, exist_ok=True)
    _rotate(child.log_path)
    future: Future[Process] = Future()
    _spawner(os.getpid()).put((functools.partial(_open_process, child), future))
    return future.result()


def tied(argv: Sequence[str]) -> tuple[str, ...]:
    """The command, killed when the thread ends that starts it, or this process."""
    return (sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *argv)


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that it takes along what it has started; in the main thread alone."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def may_be_stopped(process: psutil.Process) -> bool:
    """Whether a process is tied already, where it is to be: stopped before, it would wait for ever.

    On other systems than Linux never: it is the launcher that has the number. Without a command it is still becoming
    the launcher.
    """
    command = process.cmdline() if sys.platform == "linux" else []
    return bool(command) and str(_LAUNCHER) not in command


def _open_process(child: Child) -> Process:
    with child.log_path.open("ab") as log:
        return subprocess.Popen(
            tied(child.argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **child.env},
            cwd=child.cwd,
            start_new_session=True,
        )


def _rotate(log_path: Path) -> None:
    """Set a large log aside, so that a child that dies again and again does not fill the disk."""
    if log_path.exists() and log_path.stat().st_size > _LOG_BYTES:
        log_path.replace(log_path.with_name(log_path.name + ".1"))


@functools.cache
def _spawner(pid: int) -> "queue.SimpleQueue[_Job]":
    """Start the thread that starts all children of the process `pid`.

    The kernel sends the parent-death signal when the thread that forked ends, not the process: a child started on a
    short-lived thread would die with it. This one is a daemon, so it ends with the process and never before.
    """
    jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
    threading.Thread(target=_spawn_for_ever, args=(jobs,), name=f"spawner-{pid}", daemon=True).start()
    return jobs


def _spawn_for_ever(jobs: "queue.SimpleQueue[_Job]") -> None:
    while True:
        job, future = jobs.get()
        try:
            future.set_result(job())
        except OSError as error:
            future.set_exception(error)


def ask_to_end(process: Process) -> None:
    """Send SIGTERM to the child; its own children are its own to end."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)


def kill_group(process: Process) -> None:
    """Send SIGKILL to the child and to whatever it started in its session."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says PermissionError of a group of dead processes
        os.killpg(process.pid, signal.SIGKILL)


def end(process: Process, within_s: float) -> None:
    """Stop the child: SIGTERM, then SIGKILL if it is still there after `within_s`. Returns once it is gone."""
    ask_to_end(process)
    with suppress(subprocess.TimeoutExpired):
        process.wait(within_s)
    kill_group(process)
    process.wait()


def not_ready(child: Child, *, ended: bool) -> ChildNotReady:
    """Say which child failed to start, how, and what it last wrote to its log."""
    how = "ended before it was ready" if ended else f"was not ready after {child.ready_within_s:g} s"
    tail = log_tail(child.log_path) or "(it wrote nothing)"
    kind = ChildEnded if ended else ChildNotReady
    return kind(f"{child.name} {how}; the end of {child.log_path}:\n{tail}")


def died(child: Child, code: int) -> ChildEnded:
    """Say how a child that was ready has ended, and what it last wrote to its log."""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return ChildEnded(f"{child.name} {how}: {log_tail(child.log_path, lines=1) or '(it wrote nothing)'}")


def log_tail(log_path: Path, lines: int = 15) -> str:
    """Read the last lines of a log, empty if there is none."""
    if not log_path.exists():
        return ""
    with log_path.open("rb") as log:
        log.seek(max(0, log_path.stat().st_size - 16_384))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
