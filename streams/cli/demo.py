"""`throughbeat demo`: a listener and a new release, live, on the bundled sample."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.embedded.process import ended_as_by_ctrl_c, tied
from streams.errors import StreamError

if TYPE_CHECKING:
    from topics.records import Track

READY_WITHIN_S = 300.0
LOVED_GENRE = "permanent wave"


class DemoStackFailed(StreamError):
    """The stack of the demo did not come up."""


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running, and say how to go on.")] = False,
) -> None:
    """Show a listener whose plays and skips change her next answers, and a release offered as it comes out.

    Starts Kafka, Redis, the index and the workers in a folder of their own, imports the bundled sample, and cleans up.
    """
    from rich.console import Console

    from streams.cli.options import settings_from
    from streams.connections import connection_of
    from streams.demo import Demo
    from topics.client import Client

    console = Console()
    console.rule("[bold]Throughbeat")
    data_dir = Path(tempfile.mkdtemp(prefix="throughbeat-demo-"))
    with running_stack(data_dir, keep=keep) as process:
        settings = settings_from(data_dir=data_dir)
        with Client(connection_of(settings), settings.topic_prefix) as client:
            tracks = sample()
            sounds = {one.track_id: one.features for one in tracks if one.features}
            Demo(client, console, well_known(tracks), sounds).run()
        if keep:
            console.print(
                f"Still running in {data_dir}: try [bold]throughbeat recommend --data-dir {data_dir} --user ada[/]"
            )
            console.print(f"Stop it with [bold]kill {process.pid}[/]")


@contextmanager
def running_stack(data_dir: Path, *, keep: bool) -> Iterator[subprocess.Popen[bytes]]:
    """`throughbeat up` as a process of its own; gone with its data after the block, unless it is kept."""
    ready_file = data_dir / "ready.json"
    command = [sys.executable, "-m", "streams.cli", "up", "--data-dir", str(data_dir), "--catalogue", "sample"]
    command += ["--ready-file", str(ready_file)]
    with ended_as_by_ctrl_c():
        process = subprocess.Popen(command if keep else tied(command), start_new_session=True)
        done = False
        try:
            wait_for(ready_file, process)
            yield process
            done = True
        finally:
            if not (keep and done):
                process.send_signal(signal.SIGTERM)
                process.wait()
                shutil.rmtree(data_dir, ignore_errors=True)


def wait_for(ready_file: Path, process: subprocess.Popen[bytes]) -> None:
    """Returns once the stack answers.

    Raises:
        DemoStackFailed: it ended, or takes too long.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready_file.exists():
        if process.poll() is not None:
            raise DemoStackFailed("the stack did not start; its last line says why")
        if time.monotonic() > deadline:
            raise DemoStackFailed(f"the stack was not ready within {READY_WITHIN_S:g} s")
        time.sleep(0.1)


def sample() -> list[Track]:
    """The tracks of the sample whose sound is known."""
    from streams.catalogue import sample_tracks
    from streams.importing.tracks import open_tracks
    from streams.labelled import records_of
    from topics.records import Track

    return [one for one in records_of(open_tracks(sample_tracks()), Track) if one.features]


def well_known(tracks: Sequence[Track]) -> list[Track]:
    """Of one genre, each by another artist, the most popular first."""
    fitting = [one for one in tracks if LOVED_GENRE in (one.genres or ()) and one.artists and one.artists[0].artist_id]
    fitting.sort(key=lambda one: (-(one.popularity or 0), one.track_id))
    by_artist = {one.artists[0].artist_id: one for one in reversed(fitting)}
    return sorted(by_artist.values(), key=lambda one: (-(one.popularity or 0), one.track_id))
