"""Commands that begin with their modules loaded: the same processes, without the seconds that imports take."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from streams.settings import Settings
from streams.up import environment_of

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["streams.up", "streams.worker", "streams.roles", "streams.learner", "river.drift"])


class ForkedProcess:
    """What tests use of `subprocess.Popen`."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        errors: Path | None = None,
    ) -> None:
        """Run a module as `python -m` does; what it prints is appended to `log`, its errors to a file of their own."""
        given = (module, tuple(arguments), dict(environment), log, errors or log)
        self._process: BaseProcess = _CONTEXT.Process(target=_run, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, a signal's number below 0; `None` while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def command(settings: Settings, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """`throughbeat` with these arguments, in this installation. Raises subprocess.TimeoutExpired."""
    environment = {**os.environ, **environment_of(settings)}
    with TemporaryDirectory() as directory:
        output, errors = Path(directory, "out"), Path(directory, "err")
        process = ForkedProcess("streams.cli", arguments, environment, output, errors)
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())


def _run(module: str, arguments: Sequence[str], environment: Mapping[str, str], *outputs: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in enumerate(outputs, 1):
        output = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(output, stream)
        os.close(output)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
