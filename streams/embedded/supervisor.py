"""Keep a set of children running, from the first start to a clean stop."""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NoReturn

from streams.embedded.child import Child, ChildState
from streams.embedded.errors import UnknownDependency
from streams.embedded.keeper import Keeper, OnChange
from streams.embedded.lock import data_directory
from streams.embedded.restarts import RestartPolicy


class Supervisor:
    """Runs children on one data directory, restarts those that die, and leaves none behind.

    Children start as soon as those that they come `after` are ready, and stop in reverse order. SIGTERM, SIGINT and
    SIGHUP stop everything cleanly; a second one kills what is still there. If this process is itself killed, the
    kernel kills the children (see launcher.py).

    Args:
        data_dir: held for this process alone while it runs.
        children: what to run.
        on_change: told each child's name and new state, for a display; runs on the event loop.
        policy: how patiently dead children are restarted.

    Raises:
        UnknownDependency: a child comes after one that is not there, or children wait for each other in a ring.
    """

    def __init__(
        self,
        data_dir: Path,
        children: Sequence[Child],
        *,
        on_change: OnChange | None = None,
        policy: RestartPolicy | None = None,
    ) -> None:
        self._data_dir = data_dir
        self._waves = start_waves(children)
        restarts, tell = policy or RestartPolicy(), on_change or _tell_nobody
        self._keepers = {child.name: Keeper(child, restarts, tell) for child in children}
        self._stopping = asyncio.Event()

    @property
    def pids(self) -> Mapping[str, int | None]:
        """The process id of each child, None while it is down."""
        return {name: keeper.pid for name, keeper in self._keepers.items()}

    @property
    def states(self) -> Mapping[str, ChildState]:
        """Where each child is in its life."""
        return {name: keeper.state for name, keeper in self._keepers.items()}

    @property
    def failures(self) -> Mapping[str, str]:
        """Why a child last ended or failed to start, for those that did."""
        return {name: str(keeper.failure) for name, keeper in self._keepers.items() if keeper.failure is not None}

    async def run(self, on_ready: Callable[[], None] | None = None) -> None:
        """Start the children, call `on_ready` once all are ready, and keep them running until told to stop.

        Returns when every child is gone, however it ends.

        Raises:
            DataDirectoryInUse: another process runs on the data directory.
            EmbeddedError: a child cannot be brought up for a first time; the others were stopped.
        """
        with data_directory(self._data_dir), self._obeying_signals():
            try:
                await self._keep_all_running(on_ready or (lambda: None))
            finally:
                await self._stop_all()

    def stop(self) -> None:
        """Ask `run` to end everything cleanly; a second call kills what is still there."""
        if self._stopping.is_set():
            for keeper in self._keepers.values():
                keeper.kill()
        self._stopping.set()

    async def _keep_all_running(self, on_ready: Callable[[], None]) -> None:
        tasks = [asyncio.create_task(self._announce(on_ready))]
        tasks += [asyncio.create_task(self._keep(keeper)) for keeper in self._keepers.values()]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel([*tasks, stopping])
        for task in done:
            task.result()

    async def _keep(self, keeper: Keeper) -> NoReturn:
        await keeper.keep_running([self._keepers[name].up for name in keeper.child.after])

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        for keeper in self._keepers.values():
            await keeper.ready.wait()
        on_ready()
        await self._stopping.wait()

    async def _stop_all(self) -> None:
        for wave in reversed(self._waves):
            await asyncio.gather(*(self._keepers[name].stop() for name in wave))

    @contextmanager
    def _obeying_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may receive signals; whoever runs us elsewhere calls stop()
            return
        loop, obeyed = asyncio.get_running_loop(), _signals_to_obey()
        for number in obeyed:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in obeyed:
                loop.remove_signal_handler(number)


def start_waves(children: Sequence[Child]) -> list[tuple[str, ...]]:
    """Order the children: each stands in a later wave than those it comes after.

    Raises:
        UnknownDependency: a child comes after one that is not there, two have one name, or some wait for each other.
    """
    names = Counter(child.name for child in children)
    for child in children:
        if names[child.name] > 1:
            raise UnknownDependency(f"two children are named {child.name}: which one is meant cannot be told")
        for name in child.after:
            if name not in names:
                raise UnknownDependency(f"{child.name} starts after {name}, but no child has that name")
    sorter = TopologicalSorter({child.name: child.after for child in children})
    try:
        sorter.prepare()
    except CycleError as error:
        raise UnknownDependency(f"children wait for each other: {' after '.join(error.args[1])}") from error
    return list(_waves(sorter))


def _waves(sorter: TopologicalSorter[str]) -> Iterator[tuple[str, ...]]:
    while sorter.is_active():
        wave = sorter.get_ready()
        yield wave
        sorter.done(*wave)


def _signals_to_obey() -> list[signal.Signals]:
    """SIGHUP says that the terminal was closed; under nohup it is ignored, and stays so."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, signal.SIGINT, *hang_up]


async def _cancel(tasks: "Sequence[asyncio.Task[object]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _tell_nobody(name: str, state: ChildState) -> None:
    return None
