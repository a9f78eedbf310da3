"""The demo, as somebody who tries it out would run it."""

from __future__ import annotations

import subprocess
import sys


def test_demo_shows_skips_that_count_and_a_release_that_is_offered_and_leaves_nothing_behind() -> None:
    done = subprocess.run([sys.executable, "-m", "streams.cli", "demo"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for shown in ("Skip 2", "She plays to the end", "A track that did not exist a second ago", "nothing left behind"):
        assert shown in done.stdout + done.stderr
    assert not [line for line in processes() if "throughbeat-demo-" in line]


def processes() -> list[str]:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
