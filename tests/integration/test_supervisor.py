"""The supervisor keeps children running and leaves none behind. Its children here are one-line Python programs."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest

from streams.embedded.child import Child, ChildState
from streams.embedded.errors import ChildEnded, ChildNotReady, DataDirectoryInUse, EmbeddedError
from streams.embedded.launcher import WATCH_INTERVAL_S
from streams.embedded.process import kill_group, spawn
from streams.embedded.restarts import RestartPolicy
from streams.embedded.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
LAUNCHER = ROOT / "streams" / "embedded" / "launcher.py"
QUICK = RestartPolicy(first_delay_s=0.01, longest_delay_s=0.05)
SLEEP = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w').close(); time.sleep(600)"
# Runs a supervisor with two children as a program of its own and says on standard output who they are.
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from streams.embedded.child import Child
from streams.embedded.errors import EmbeddedError
from streams.embedded.supervisor import Supervisor

data_dir = Path(sys.argv[1])
def child(name, *after):
    argv = (sys.executable, "-S", "-c", sys.argv[2])
    return Child(name=name, argv=argv, log_path=data_dir / "logs" / name, cwd=data_dir, after=after, stop_within_s=60)
supervisor = Supervisor(data_dir, [child("first"), child("second", "first")])
def announce():
    print(json.dumps(dict(supervisor.pids)), flush=True)
try:
    asyncio.run(supervisor.run(announce))
except EmbeddedError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def program(data_dir: Path, name: str, code: str, **details: object) -> Child:
    argv = (sys.executable, "-S", "-c", code)
    return Child(name=name, argv=argv, log_path=data_dir / "logs" / f"{name}.log", cwd=data_dir, **details)  # type: ignore[arg-type]


def eventually(condition: Callable[[], object], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


async def eventually_beside(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """As `eventually`, while the event loop goes on."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[None]:
    """Enter once every child is ready; leave once every child is gone."""
    ready = asyncio.Event()
    task = asyncio.create_task(supervisor.run(ready.set))
    await asyncio.wait({task, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if ready.is_set():
            yield
    finally:
        supervisor.stop()
        await asyncio.wait_for(task, 20)


@contextmanager
def supervisor_program(data_dir: Path, code: str = SLEEP) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    command = [sys.executable, "-c", PROGRAM, str(data_dir), code]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_child_waits_until_those_it_comes_after_are_ready(tmp_path: Path) -> None:
    events: list[tuple[str, ChildState]] = []
    code = "import time; time.sleep(0.2); open('done', 'w').close(); time.sleep(600)"
    first = program(tmp_path, "first", code, probe=(tmp_path / "done").exists)
    second = program(tmp_path, "second", SLEEP, after=("first",))
    supervisor = Supervisor(tmp_path, [second, first], on_change=lambda *event: events.append(event))
    async with running(supervisor):
        assert supervisor.states == {"first": ChildState.READY, "second": ChildState.READY}
    assert events.index(("first", ChildState.READY)) < events.index(("second", ChildState.STARTING))


async def test_children_that_do_not_depend_on_each_other_start_together(tmp_path: Path) -> None:
    def announce(name: str) -> str:
        return f"import time; open('{name}', 'w').close(); time.sleep(600)"

    # Each is ready only once the other one runs: started one after the other, neither would ever be.
    left = program(tmp_path, "left", announce("left"), probe=(tmp_path / "right").exists)
    right = program(tmp_path, "right", announce("right"), probe=(tmp_path / "left").exists)
    async with running(Supervisor(tmp_path, [left, right])):
        pass


async def test_killed_child_is_started_again(tmp_path: Path) -> None:
    events: list[tuple[str, ChildState]] = []
    supervisor = Supervisor(
        tmp_path, [program(tmp_path, "worker", SLEEP)], policy=QUICK, on_change=lambda *event: events.append(event)
    )
    async with running(supervisor):
        first = supervisor.pids["worker"]
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually_beside(lambda: supervisor.pids["worker"] not in (None, first))
        await eventually_beside(lambda: supervisor.states["worker"] is ChildState.READY)
    states = [state for _, state in events]
    assert states == [
        ChildState.STARTING,
        ChildState.READY,
        ChildState.RESTARTING,
        ChildState.READY,
        ChildState.STOPPED,
    ]


async def test_child_that_keeps_dying_is_restarted_ever_more_slowly(tmp_path: Path) -> None:
    starts: list[float] = []
    child = program(
        tmp_path, "worker", "import time; time.sleep(0.02)", prepare=lambda: starts.append(time.monotonic())
    )
    policy = RestartPolicy(first_delay_s=0.05, longest_delay_s=0.4)
    async with running(Supervisor(tmp_path, [child], policy=policy)):
        await eventually_beside(lambda: len(starts) >= 6)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    delays = [0.05, 0.1, 0.2, 0.4, 0.4]
    assert all(gap >= delay for gap, delay in zip(gaps, delays, strict=False))


async def test_child_that_dies_for_want_of_another_is_started_when_that_is_back(tmp_path: Path) -> None:
    starts: list[str] = []

    def child(name: str, *after: str, probe: Callable[[], bool] = lambda: True) -> Child:
        return program(tmp_path, name, SLEEP, after=after, probe=probe, prepare=lambda: starts.append(name))

    gate = tmp_path / "gate"
    gate.touch()
    supervisor = Supervisor(tmp_path, [child("store", probe=gate.exists), child("worker", "store")], policy=QUICK)
    async with running(supervisor):
        gate.unlink()
        store, worker = supervisor.pids["store"], supervisor.pids["worker"]
        assert store is not None
        assert worker is not None
        os.kill(store, signal.SIGKILL)
        # Both at once, and the worker might be back before the store's end is known.
        await eventually_beside(lambda: starts.count("store") == 2)
        os.kill(worker, signal.SIGKILL)
        await eventually_beside(lambda: supervisor.states["worker"] is ChildState.RESTARTING)
        # The worker waits for as long as the store has not said that it works.
        assert starts.count("worker") == 1
        gate.touch()
        await eventually_beside(lambda: supervisor.states["worker"] is ChildState.READY)
    assert starts == ["store", "worker", "store", "worker"]


async def test_child_that_waits_by_itself_starts_beside_what_it_comes_after_and_stops_before_it(tmp_path: Path) -> None:
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    waiting = f"open({str(begun)!r}, 'w').close(); {SLEEP}"
    ends: list[str] = []

    def on_change(name: str, state: ChildState) -> None:
        if state is ChildState.STOPPED:
            ends.append(name)

    children = [
        program(tmp_path, "store", SLEEP, probe=lambda: begun.exists() and gate.exists()),
        program(tmp_path, "worker", waiting, after=("store",), waits=True),
    ]
    supervisor = Supervisor(tmp_path, children, policy=QUICK, on_change=on_change)
    task = asyncio.create_task(supervisor.run(lambda: None))
    await eventually_beside(begun.exists)
    assert supervisor.states["store"] is ChildState.STARTING
    gate.touch()
    await eventually_beside(lambda: supervisor.states["store"] is ChildState.READY)
    supervisor.stop()
    await task
    assert ends == ["worker", "store"]


async def test_why_a_child_has_died_is_told_in_its_own_words(tmp_path: Path) -> None:
    code = "import sys, time; print('stuck: nothing was read for 60 s', flush=True); time.sleep(0.2); sys.exit(3)"
    supervisor = Supervisor(tmp_path, [program(tmp_path, "worker", code)], policy=QUICK)
    async with running(supervisor):
        await eventually_beside(lambda: "worker" in supervisor.failures)
    assert supervisor.failures["worker"] == "worker ended with code 3: stuck: nothing was read for 60 s"


async def test_signal_that_ended_a_child_is_named(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, [program(tmp_path, "worker", SLEEP)], policy=QUICK)
    async with running(supervisor):
        pid = supervisor.pids["worker"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await eventually_beside(lambda: "worker" in supervisor.failures)
    assert supervisor.failures["worker"] == "worker was ended by SIGKILL: (it wrote nothing)"


async def test_what_a_dead_child_had_started_does_not_outlive_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; other = subprocess.Popen([sys.executable, '-S', '-c', 'import time; "
        "time.sleep(600)']); open('pid.new', 'w').write(str(other.pid)); import os; os.rename('pid.new', 'pid'); "
        "time.sleep(600)"
    )
    child = program(tmp_path, "worker", code, probe=(tmp_path / "pid").exists)
    supervisor = Supervisor(tmp_path, [child], policy=QUICK)
    async with running(supervisor):
        grandchild, pid = int((tmp_path / "pid").read_text()), supervisor.pids["worker"]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await eventually_beside(lambda: is_gone(grandchild))


async def test_children_stop_in_reverse_order(tmp_path: Path) -> None:
    def obedient(name: str) -> str:
        leave = f"lambda *_: (print('{name}', file=open('ended', 'a'), flush=True), os._exit(0))"
        return f"import os, signal, time; signal.signal(15, {leave}); open('{name}', 'w').close(); time.sleep(600)"

    def child(name: str, *after: str) -> Child:
        return program(tmp_path, name, obedient(name), after=after, probe=(tmp_path / name).exists)

    async with running(Supervisor(tmp_path, [child("a"), child("b", "a"), child("c", "b")])):
        pass
    assert (tmp_path / "ended").read_text().split() == ["c", "b", "a"]


async def test_child_that_ignores_sigterm_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    child = program(tmp_path, "deaf", DEAF, probe=(tmp_path / "deaf").exists, stop_within_s=0.1)
    supervisor = Supervisor(tmp_path, [child])
    async with running(supervisor):
        pid = supervisor.pids["deaf"]
        assert pid is not None
    assert is_gone(pid)


async def test_child_that_never_gets_ready_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    code = "import time; print('waiting for a train', flush=True); time.sleep(600)"
    child = program(tmp_path, "worker", code, probe=lambda: False, ready_within_s=0.5)
    with pytest.raises(ChildNotReady) as failed:
        await Supervisor(tmp_path, [child], policy=QUICK).run()
    log = tmp_path / "logs" / "worker.log"
    assert str(failed.value) == f"worker was not ready after 0.5 s; the end of {log}:\nwaiting for a train"


async def test_child_whose_start_fails_for_good_ends_the_others_too(tmp_path: Path) -> None:
    good = program(tmp_path, "good", SLEEP)
    bad = program(tmp_path, "bad", "raise SystemExit('no such topic')", after=("good",), probe=lambda: False)
    seen: list[int | None] = []
    supervisor = Supervisor(
        tmp_path, [good, bad], policy=QUICK, on_change=lambda name, state: seen.append(supervisor.pids["good"])
    )
    with pytest.raises(ChildEnded, match="bad ended before it was ready") as failed:
        await supervisor.run()
    assert str(failed.value).endswith("no such topic\n" * (QUICK.first_attempts - 1) + "no such topic")
    pids = {pid for pid in seen if pid is not None}
    assert len(pids) == 1
    assert all(is_gone(pid) for pid in pids)


async def test_child_that_fails_once_at_its_first_start_is_tried_again(tmp_path: Path) -> None:
    code = "import os, sys, time; tried = os.path.exists('tried'); open('tried', 'w').close(); "
    code += "tried or sys.exit(1); open('up', 'w').close(); time.sleep(600)"
    child = program(tmp_path, "worker", code, probe=(tmp_path / "up").exists)
    supervisor = Supervisor(tmp_path, [child], policy=QUICK)
    async with running(supervisor):
        assert "worker ended before it was ready" in supervisor.failures["worker"]


async def test_child_that_cannot_be_prepared_is_not_tried_again(tmp_path: Path) -> None:
    attempts: list[int] = []

    def prepare() -> None:
        attempts.append(1)
        raise EmbeddedError("port 1 is taken")

    with pytest.raises(EmbeddedError, match=r"^port 1 is taken$"):
        await Supervisor(tmp_path, [program(tmp_path, "worker", SLEEP, prepare=prepare)], policy=QUICK).run()
    assert attempts == [1]


async def test_probe_may_be_a_coroutine(tmp_path: Path) -> None:
    answers = iter([False, True])

    async def probe() -> bool:
        return next(answers)

    async with running(Supervisor(tmp_path, [program(tmp_path, "worker", SLEEP, probe=probe)])):
        pass
    assert next(answers, None) is None


async def test_children_append_to_their_logs(tmp_path: Path) -> None:
    child = program(tmp_path, "worker", f"print('hello', flush=True); {SLEEP}")
    for runs in (1, 2):
        async with running(Supervisor(tmp_path, [child])):
            await eventually_beside(lambda: child.log_path.read_text().count("hello") >= runs)  # noqa: B023 - called here
    assert child.log_path.read_text() == "hello\nhello\n"


async def test_cancelled_supervisor_leaves_no_process_and_restarts_none(tmp_path: Path) -> None:
    starts: list[int] = []
    # The worker stops first; while the deaf child uses up its time, a worker that is still kept would come back.
    deaf = program(tmp_path, "deaf", DEAF, probe=(tmp_path / "deaf").exists, stop_within_s=0.5)
    worker = program(tmp_path, "worker", SLEEP, after=("deaf",), prepare=lambda: starts.append(1))
    ready = asyncio.Event()
    supervisor = Supervisor(tmp_path, [deaf, worker], policy=QUICK)
    task = asyncio.create_task(supervisor.run(ready.set))
    await ready.wait()
    pids = [pid for pid in supervisor.pids.values() if pid is not None]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(pids) == 2
    assert all(is_gone(pid) for pid in pids)
    assert starts == [1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_supervisor_told_to_stop_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    with supervisor_program(tmp_path) as (process, pids):
        process.send_signal(number)
        assert process.wait(20) == 0
        assert [pid for pid in pids.values() if not is_gone(pid)] == []


def test_second_signal_does_not_wait_for_a_child_that_ignores_the_first(tmp_path: Path) -> None:
    with supervisor_program(tmp_path, DEAF) as (process, pids):
        eventually((tmp_path / "deaf").exists)
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.terminate()
        assert process.wait(20) == 0
        assert [pid for pid in pids.values() if not is_gone(pid)] == []


def test_killed_supervisor_leaves_no_process_and_no_lock(tmp_path: Path) -> None:
    with supervisor_program(tmp_path) as (process, pids):
        process.kill()
        process.wait()
        eventually(lambda: all(is_gone(pid) for pid in pids.values()), within_s=5)
    with supervisor_program(tmp_path) as (process, pids):
        assert set(pids) == {"first", "second"}


def test_second_supervisor_on_a_data_directory_is_refused(tmp_path: Path) -> None:
    with supervisor_program(tmp_path) as (process, _), pytest.raises(DataDirectoryInUse) as refused:
        asyncio.run(Supervisor(tmp_path, []).run())
    assert str(refused.value) == (
        f"data directory {tmp_path} is in use by process {process.pid}: stop that process or choose another --data-dir"
    )


def test_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def ask_and_stay_until_the_child_is_tied() -> None:
        # A thread that ended sooner would prove nothing: the kernel looks at the parent when the signal is armed.
        children.append(spawn(program(tmp_path, "worker", f"open('tied', 'w').close(); {SLEEP}")))
        eventually((tmp_path / "tied").exists)

    asker = threading.Thread(target=ask_and_stay_until_the_child_is_tied)
    asker.start()
    asker.join()
    (process,) = children
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    kill_group(process)
    assert process.wait(20) == -signal.SIGKILL


def test_child_whose_parent_died_before_it_was_tied_to_it_never_runs(tmp_path: Path) -> None:
    other_pid = 1 if os.getpid() != 1 else 2
    command = [sys.executable, "-I", "-S", str(LAUNCHER), str(other_pid), "touch", str(tmp_path / "ran")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "parent ended before its child started\n"
    assert not (tmp_path / "ran").exists()


def test_without_help_from_the_kernel_a_launcher_watches_the_parent(tmp_path: Path) -> None:
    watched = f"import os, time; print(os.getpid(), flush=True); {SLEEP}"
    parent = (
        "import os, subprocess, sys; subprocess.Popen([sys.executable, '-I', '-S', sys.argv[1], '--watch', "
        "str(os.getpid()), sys.executable, '-S', '-c', sys.argv[2]]).wait()"
    )
    command = [sys.executable, "-S", "-c", parent, str(LAUNCHER), watched]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert not is_gone(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    eventually(lambda: is_gone(pid), within_s=10 * WATCH_INTERVAL_S)
