"""The life of one child: prepare, start, watch, start again."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from streams.embedded.child import Child, ChildState
from streams.embedded.errors import ChildEnded, ChildNotReady, EmbeddedError
from streams.embedded.process import Process, ask_to_end, died, kill_group, not_ready, spawn
from streams.embedded.restarts import RestartPolicy
from streams.embedded.threads import in_thread

OnChange = Callable[[str, ChildState], None]
_POLL_S = 0.05


@dataclass(frozen=True)
class _Life:
    """One run of the child, and the future that is done when it is over."""

    process: Process
    exited: "asyncio.Future[int]"


class Keeper:
    """Keeps one child running.

    Attributes:
        child: what is kept running.
        ready: set when the child has become ready for the first time.
        up: set while the child is ready.
        state: where the child is in its life; STOPPED before the first start.
        failure: why the child last ended or failed to start, None if it never did.
    """

    def __init__(self, child: Child, policy: RestartPolicy, on_change: OnChange) -> None:
        self.child = child
        self.ready = asyncio.Event()
        self.up = asyncio.Event()
        self.state = ChildState.STOPPED
        self.failure: EmbeddedError | None = None
        self._policy = policy
        self._on_change = on_change
        self._life: _Life | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None while the child is down."""
        life = self._life
        return None if life is None or life.exited.done() else life.process.pid

    async def keep_running(self, after: Sequence[asyncio.Event] = ()) -> NoReturn:
        """Start the child once `after` are set, or at once if it waits, and again whenever it dies, until cancelled.

        A child that died while one of `after` was away is started as soon as it is back; else after a pause that grows.

        Raises:
            EmbeddedError: the child cannot be brought up for a first time.
        """
        if not self.child.waits:
            await _all_set(after)
        self._change(ChildState.STARTING)
        failures = 0
        while True:
            ready_for_s = await self._live_once(failures)
            failures = self._policy.failures_after(failures, ready_for_s)
            self._change(ChildState.RESTARTING)
            if all(dependency.is_set() for dependency in after):
                await asyncio.sleep(self._policy.delay_s(failures))
            await _all_set(after)

    async def stop(self) -> None:
        """End the child: SIGTERM, then SIGKILL when its time is up; returns once it is gone."""
        if self._life is not None:
            if not self._life.exited.done():
                ask_to_end(self._life.process)
            await asyncio.wait({self._life.exited}, timeout=self.child.stop_within_s)
            await _sweep(self._life)
        if self.state is not ChildState.STOPPED:
            self._change(ChildState.STOPPED)

    def kill(self) -> None:
        """End the child with SIGKILL, for whoever can no longer wait."""
        if self._life is not None:
            kill_group(self._life.process)

    async def _live_once(self, failures: int) -> float:
        """Start the child and wait for its end; returns for how many seconds it was ready."""
        try:
            life = await self._start()
        except EmbeddedError as error:
            self.failure = error
            if self._gives_up(error, failures + 1):
                raise
            return 0.0
        ready_at = time.monotonic()
        self.ready.set()
        self.up.set()
        self._change(ChildState.READY)
        try:
            await asyncio.wait({life.exited})
        finally:
            self.up.clear()
        self.failure = died(self.child, life.exited.result())
        await _sweep(life)
        return time.monotonic() - ready_at

    def _gives_up(self, error: EmbeddedError, failures: int) -> bool:
        """A first start that cannot succeed is told at once; what worked before is tried for ever."""
        hopeless = not isinstance(error, ChildEnded) or failures >= self._policy.first_attempts
        return hopeless and not self.ready.is_set()

    async def _start(self) -> _Life:
        await self._prepare()
        # No await between these two: a cancelled keeper always knows the process that it has to stop.
        process = spawn(self.child)
        life = self._life = _Life(process, in_thread(process.wait))
        if not await self._becomes_ready(life):
            ended = life.exited.done()
            await _sweep(life)
            raise not_ready(self.child, ended=ended)
        return life

    async def _prepare(self) -> None:
        if self.child.prepare is None:
            return
        try:
            await in_thread(self.child.prepare)
        except OSError as error:
            raise ChildNotReady(f"{self.child.name} could not be prepared: {error}") from error

    async def _becomes_ready(self, life: _Life) -> bool:
        """Wait for readiness, the child's end or its deadline, whichever comes first."""
        probing = asyncio.ensure_future(self._probe_until_ready())
        try:
            awaited = (probing, life.exited)
            await asyncio.wait(awaited, timeout=self.child.ready_within_s, return_when=asyncio.FIRST_COMPLETED)
            if probing.done():
                probing.result()
            return probing.done() and not life.exited.done()
        finally:
            probing.cancel()

    async def _probe_until_ready(self) -> None:
        while not await self._answers():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(_POLL_S)

    async def _answers(self) -> bool:
        if self.child.probe is None:
            return True
        answer = await in_thread(self.child.probe)
        return answer if isinstance(answer, bool) else await answer

    def _change(self, state: ChildState) -> None:
        self.state = state
        self._on_change(self.child.name, state)


async def _all_set(events: Sequence[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _sweep(life: _Life) -> None:
    """Kill what is left of the child and of the processes that it started itself, and wait until it is gone."""
    kill_group(life.process)
    await asyncio.wait({life.exited})
