"""Help is quick, whole, and teaches by example."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from streams.cli import COMMANDS, app

HEAVY = ("torch", "faust", "qdrant_client", "qdrant_edge", "gensim", "kafka", "numpy", "rich.markdown", "scipy.stats")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys\n"
        "from streams.cli import main\n"
        "sys.argv = ['throughbeat', *sys.argv[1:]]\n"
        "try:\n    main()\n"
        f"finally:\n    print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",), ("no-such-command",)])
def test_nothing_heavy_is_imported_before_a_command_runs(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("name", ["topics", "publish", "recommend", "dead-letters"])
def test_client_commands_import_no_model_and_no_engine(name: str) -> None:
    loaded = run(name, "--help").stdout.splitlines()[-1].split()[1:]
    assert not {"torch", "faust", "qdrant_client", "qdrant_edge", "gensim"} & set(loaded)


def test_worker_loads_only_what_its_roles_need_so_that_it_is_back_soon() -> None:
    code = (
        "import sys, streams.roles\n"
        "from models.embeat_mlp import load_checkpoint\n"
        "from models.features import Sound\n"
        "from topics.records import Features\n"
        "known = Features(energy=0.1, valence=0.5, danceability=0.3, acousticness=0.9, liveness=0.1)\n"
        "load_checkpoint().embed([Sound(known, 200_000)])\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert set(found.stdout.split()) == {"faust", "qdrant_edge", "kafka", "numpy"}, found.stderr


def test_every_command_is_listed_with_its_whole_line() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    for name, entry in COMMANDS.items():
        if entry.exists():
            assert any(line.split() == [name, *entry.summary.split()] for line in text.splitlines()), name


@pytest.mark.parametrize(
    "command",
    [
        ["topics", "create"],
        ["topics", "list"],
        ["publish"],
        ["recommend"],
        ["dead-letters", "list"],
        ["dead-letters", "show"],
        ["dead-letters", "replay"],
    ],
    ids=" ".join,
)
def test_command_teaches_by_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert f"Example: throughbeat {' '.join(command)}" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nope"], "throughbeat: No such command 'nope'; see `throughbeat --help`"),
        (["topics"], "throughbeat: expected a command; see `throughbeat topics --help`"),
        (
            ["topics", "lost"],
            "throughbeat: No such command 'lost'. Did you mean 'list'? See `throughbeat topics --help`",
        ),
        (["publish", "-"], "throughbeat: Missing option '--topic'; see `throughbeat publish --help`"),
    ],
)
def test_wrong_command_line_is_one_line_and_exit_code_2(arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(app, arguments, prog_name="throughbeat")
    assert (result.exit_code, result.stderr) == (2, line + "\n")
