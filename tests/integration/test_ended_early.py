"""Commands that bring up a stack of their own, ended in the middle: it goes with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.test_evaluate_recall import files
from tests.integration.test_up import eventually


def stack_in(folder: Path) -> dict[psutil.Process, str]:
    """Processes that work in the folder, with their command lines."""
    lines = {one: " ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])}
    return {one: line for one, line in lines.items() if str(folder) in line}


@pytest.mark.parametrize("command", ["demo", "evaluate"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_ended_takes_its_stack_with_it(tmp_path: Path, command: str, number: signal.Signals) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    tracks, playlists = files(tmp_path)
    recall = ["recall", "--tracks", str(tracks), "--playlists", str(playlists), "--folds", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", command, *(recall if command == "evaluate" else ())],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: any(" worker " in line for line in stack_in(place).values()) or process.poll() is not None)
        process.send_signal(number)
        assert process.wait(60) != 0
        eventually(lambda: not stack_in(place), within_s=60.0)
        if number == signal.SIGTERM:
            assert not list(place.iterdir())
    finally:
        process.kill()
        for left in stack_in(place):
            left.kill()
