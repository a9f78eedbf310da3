"""What `throughbeat up` shows: the parts as they come up, the import, and where to go from there."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from streams.embedded.child import ChildState
from streams.importing.run import Progress as ImportProgress
from streams.up import StackFile

STYLES = {ChildState.READY: "green", ChildState.RESTARTING: "yellow", ChildState.STOPPED: "dim"}


class UpDisplay:
    """Lines for the parts, a bar for the import; on a terminal the bar lives, in a log only the lines are there."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("  import {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def changed(self, name: str, state: ChildState, why: str = "") -> None:
        """A part came up, died or stopped; `why` it died, in its own words."""
        self._line(f"{name}: [{STYLES.get(state, 'default')}]{state.value}[/]")
        if why:
            self._console.print(why, style="dim", markup=False, highlight=False, soft_wrap=True)

    def imported(self, progress: ImportProgress) -> None:
        """The import went on."""
        if progress.kind not in self._tasks:
            self._tasks[progress.kind] = self._bar.add_task(progress.kind, total=progress.total)
            self._line(f"importing {progress.kind} from {progress.path.name}")
        self._bar.update(self._tasks[progress.kind], completed=progress.rows, total=progress.total)

    def ready(self, stack: StackFile, metrics: Mapping[str, str]) -> None:
        """Requests are answered."""
        self._bar.stop()
        self._line(f"[bold green]ready[/]   kafka {stack.kafka}   redis {stack.redis}   data {stack.data_dir}")
        for name, address in metrics.items():
            self._console.print(f"         metrics of worker-{name}: http://{address}/metrics", highlight=False)
        self._console.print("         try: [bold]throughbeat recommend --user ada[/]     stop: Ctrl-C", highlight=False)

    def stopped(self) -> None:
        """Everything is gone."""
        self._line("stopped, nothing left behind")

    def _line(self, text: str) -> None:
        self._console.print(f"{time.monotonic() - self._began_s:7.1f} s {text}", highlight=False, soft_wrap=True)
