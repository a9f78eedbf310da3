"""Builds the search graph of a shard that nobody else has open, in a process of its own.

    python -m recall.index.optimise SHARD

The engine holds the interpreter's lock for as long as it builds, tens of seconds for a hundred thousand tracks, so the
worker has it done to a copy, and goes on answering.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path

from recall.errors import IndexUnavailable
from recall.index.shards import load_shard

# Answers come first; a machine that is always busy still gets it done.
NICENESS = 19
_PR_SET_PDEATHSIG = 1


async def optimise_copy(shard: Path) -> None:
    """Optimise the shard in a child process, and wait for it; the child does not outlive this process.

    Raises:
        IndexUnavailable: the child failed; the copy is worth nothing.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(shard), stderr=asyncio.subprocess.PIPE
    )
    try:
        _, told = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    if child.returncode != 0:
        last = told.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise IndexUnavailable(f"the index was not optimised, exit code {child.returncode}: {last[0]}")


def optimise(shard: Path) -> None:
    """Build the graph of a shard that nobody else has open, and force it to disk."""
    opened = load_shard(shard)
    opened.optimize()
    opened.flush()
    opened.close()


def _die_with(parent: int) -> None:
    """Be killed when the parent is, however it ends. Linux; elsewhere the copy is built for nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit("the worker has ended")


def main(arguments: list[str]) -> None:
    """What the child does."""
    _die_with(os.getppid())
    os.nice(NICENESS)
    (shard,) = arguments
    optimise(Path(shard))


if __name__ == "__main__":
    main(sys.argv[1:])
