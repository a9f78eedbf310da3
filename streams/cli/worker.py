"""`throughbeat worker`: some roles of the stack as one process."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import DataDirOption, KafkaOption, PrefixOption, expected, line_of, settings_from


def worker(
    roles: Annotated[
        str,
        typer.Option(
            help="Comma-separated: catalogue (indexes), listening (counts), learning (ranking), "
            "cooccurrence and collaborative (learn from lists), recommendations (answers)."
        ),
    ] = "catalogue,listening,learning,cooccurrence,collaborative,recommendations",
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Written once the worker has its partitions.")
    ] = None,
    wait_s: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="How long Kafka and its topics may take to be there."),
    ] = 0.0,
) -> None:
    """Run roles of the stack against Kafka and Redis that run elsewhere, until SIGTERM or Ctrl-C.

    Start as many as you like: the workers of a role share its partitions. Without a Qdrant server
    (THROUGHBEAT_QDRANT_URL) catalogue, cooccurrence and recommendations must be in one worker, which owns the index.

    Example: throughbeat worker --roles listening --kafka broker-1:9092
    """
    # Read when NumPy is loaded. A worker is one thread's work: its batches are small, and threads of a pool
    # that wait for one another take longer than one alone as soon as a core is busy.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from streams.observing.logs import set_up_logs
    from streams.roles import assemble
    from streams.secrets import secrets_in
    from streams.up import write_atomically
    from streams.worker import parse_roles, run_worker

    settings = settings_from(kafka, prefix, data_dir)
    wanted = parse_roles(roles)
    set_up_logs(settings.log_level, settings.log_format, secrets_in(os.environ))

    def on_ready() -> None:
        logging.getLogger(__name__).info("ready: %s", roles)
        if ready_file is not None:
            write_atomically(ready_file, roles.encode())

    try:
        asyncio.run(run_worker(settings, wanted, assemble, on_ready, wait_s))
    except Exception as error:
        if settings.log_format == "text":
            raise  # told in one line, as of every command
        line, code = line_of(error)
        logging.getLogger(__name__).critical(line, exc_info=None if isinstance(error, expected()) else error)
        raise typer.Exit(code) from error
