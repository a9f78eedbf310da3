"""`throughbeat up`: the whole stack on this machine, in the foreground."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import DataDirOption


def up(
    data_dir: DataDirOption = None,
    catalogue: Annotated[
        str,
        typer.Option(
            metavar="PATH|sample|none",
            help="What to import first: a folder with tracks.csv.gz and maybe artist_genres.json.gz and "
            "playlists.csv.gz, one file of tracks, the bundled sample, or nothing. Nothing is sent twice.",
        ),
    ] = "none",
    ready_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Written as JSON once requests can be answered.")
    ] = None,
    kafka_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of Kafka; else a free one.")] = None,
    redis_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of Redis; else a free one.")] = None,
) -> None:
    """Run Kafka, Redis, the index and the workers on this machine until Ctrl-C or SIGTERM.

    Nothing needs to be installed: the first start fetches Kafka's jars. Data and logs are kept in the data directory.

    Example: throughbeat up --catalogue sample
    """
    from streams.embedded.child import ChildState
    from streams.settings import read_settings
    from streams.up import Stack, Wanted
    from streams.updisplay import UpDisplay

    began = time.monotonic()
    settings = read_settings(os.environ, data_dir=data_dir)
    ports = {name: port for name, port in (("kafka_port", kafka_port), ("redis_port", redis_port)) if port}
    with UpDisplay(began) as display:

        def changed(name: str, state: ChildState) -> None:
            display.changed(name, state, stack.failures.get(name, "") if state is ChildState.RESTARTING else "")

        stack = Stack(settings, Wanted(catalogue, ready_file, **ports), changed, display.imported)
        asyncio.run(stack.run(lambda: display.ready(stack.file, stack.metrics)))
        display.stopped()
