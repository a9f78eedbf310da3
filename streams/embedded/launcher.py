"""Tie a child's life to its parent's, then become the child.

Run by its path, `python -I -S launcher.py PARENT_PID PROGRAM [ARGUMENT ...]`, so it imports nothing of this project.
A child that lives on after its parent was killed would hold ports and files that the next start needs.

On Linux the kernel does it: PR_SET_PDEATHSIG outlives exec, so the launcher is gone once PROGRAM runs, under the same
pid. Elsewhere the launcher stays, asks twice a second whether its parent is still there, passes SIGTERM and SIGINT on,
and kills PROGRAM when the parent is gone. `--watch` before PARENT_PID chooses that way on Linux too, for its test.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
WATCH_INTERVAL_S = 0.5


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL at the parent's death, and end now if it died before it could be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        sys.exit("parent ended before its child started")


def become(command: list[str]) -> None:
    """Replace this process by the command, with the signal handling that a fresh process has."""
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores these two, and what is ignored stays so over exec
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execvp(command[0], command)


def watch(parent_pid: int, command: list[str]) -> int:
    """Run the command beside this process until it ends or the parent is gone."""
    process = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: process.send_signal(received))
    while process.poll() is None:
        if os.getppid() != parent_pid:
            process.kill()
        time.sleep(WATCH_INTERVAL_S)
    code = process.returncode
    return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> None:
    """Start what the command line names, tied to its parent."""
    watched = arguments[0] == "--watch" or sys.platform != "linux"
    parent, *command = arguments[1:] if arguments[0] == "--watch" else arguments
    if watched:
        sys.exit(watch(int(parent), command))
    die_with_parent(int(parent))
    become(command)


if __name__ == "__main__":
    main(sys.argv[1:])
