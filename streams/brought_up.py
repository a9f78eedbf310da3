"""A whole stack for as long as a block runs: `throughbeat up` as a process that goes when the block does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from streams.embedded.process import ended_as_by_ctrl_c, log_tail, tied
from streams.errors import StreamError
from streams.settings import Settings, read_settings
from streams.up import StackFile

READY_FILE, LOG = "brought-up.json", "up.log"
POLL_S, END_WITHIN_S = 0.01, 60.0


class StackNotReady(StreamError):
    """The stack ended before it was ready, or takes too long."""


@contextmanager
def brought_up(
    data_dir: Path, catalogue: str | Path, *, within_s: float
) -> Iterator[tuple[Settings, subprocess.Popen[bytes]]]:
    """What its clients need to know of it, and its supervisor.

    Raises:
        StackNotReady: the end of its log is in the message.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    ready, log = data_dir / READY_FILE, data_dir / LOG
    ready.unlink(missing_ok=True)  # of a stack that was killed here
    command = [sys.executable, "-m", "streams.cli", "up", "--data-dir", str(data_dir), "--ready-file", str(ready)]
    with ended_as_by_ctrl_c():
        with log.open("wb") as told:
            process = subprocess.Popen(tied([*command, "--catalogue", str(catalogue)]), stdout=told, stderr=told)
        try:
            deadline = time.monotonic() + within_s
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise StackNotReady(f"the stack did not get ready:\n{log_tail(log)}")
                time.sleep(POLL_S)
            found = msgspec.json.decode(ready.read_bytes(), type=StackFile)
            yield read_settings({}, kafka_url=found.kafka, redis_url=found.redis, data_dir=data_dir), process
        finally:
            process.terminate()
            process.wait(END_WITHIN_S)
