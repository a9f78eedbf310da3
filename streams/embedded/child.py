"""What a child process is: how it is started, when it is ready, how long it may take."""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], bool | Awaitable[bool]]


class ChildState(enum.StrEnum):
    """Where a child is in its life, as a display shows it."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Child:
    """One process to keep running.

    Attributes:
        name: what logs and displays call it; unique among the children of one supervisor.
        argv: the program and its arguments.
        log_path: file to which standard output and error are appended.
        env: variables set on top of this process's own environment.
        cwd: working directory; None keeps this process's own.
        prepare: run in a thread before every start; must be idempotent (resolve, format, write settings).
        probe: True once the child does its work; called again and again, may be a coroutine function. None: ready as
            soon as it runs.
        after: names of the children that must be ready before this one starts, and that stop after it.
        waits: starts for the first time beside those that it comes after, and waits for them by itself.
        ready_within_s: how long a start may take, preparation aside.
        stop_within_s: how long it has after SIGTERM before it is killed.
    """

    name: str
    argv: tuple[str, ...]
    log_path: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    prepare: Callable[[], None] | None = None
    probe: Probe | None = None
    after: tuple[str, ...] = ()
    waits: bool = False
    ready_within_s: float = 30.0
    stop_within_s: float = 10.0
