"""Commands that are imported only when they run: help and small commands must not pay for torch or Faust."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from streams.cli.options import one_line_errors


@dataclass(frozen=True)
class Entry:
    """Where a command is, and its line in the list of commands.

    Attributes:
        module: holds a Typer application called `app` or `<name>_app`, or a function called like the command.
    """

    module: str
    summary: str

    def exists(self) -> bool:
        """Whether the module is part of this installation."""
        return importlib.util.find_spec(self.module) is not None

    def load(self, name: str) -> Any:
        """The command itself; imports its module."""
        module = importlib.import_module(self.module)
        names = (f"{name.replace('-', '_')}_app", "app", name.replace("-", "_"), f"{name.replace('-', '_')}_")
        found = next(getattr(module, one) for one in names if hasattr(module, one))
        command: Any = get_group(found) if isinstance(found, typer.Typer) else _command_of(found)
        command.name = name
        return command


def _command_of(function: Any) -> Any:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return get_command(app)


class LazyGroup(TyperGroup):
    """The root command: a table of entries, and every error as one line."""

    entries: Mapping[str, Entry] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table."""
        return [name for name, entry in self.entries.items() if entry.exists()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What help needs of a command: no import."""
        entry = self.entries.get(cmd_name)
        return None if entry is None or not entry.exists() else TyperCommand(name=cmd_name, help=entry.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if command is None or name is None else self.entries[name].load(name), rest

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """Run, and leave with the exit code; without arguments, help."""
        given = sys.argv[1:] if args is None else list(args)
        with one_line_errors():
            code = super().main(given or ["--help"], *more, **{**options, "standalone_mode": False})
        sys.exit(code if isinstance(code, int) else 0)
