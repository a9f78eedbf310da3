"""`throughbeat worker`: some roles of the stack as one process."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import DataDirOption, KafkaOption, PrefixOption, settings_from

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Libraries that tell every attempt to connect, or every rebalance.
NOISY = ("aiokafka", "faust", "kafka", "mode", "httpx")


def worker(
    roles: Annotated[
        str,
        typer.Option(help="Comma-separated: catalogue (indexes), listening (counts), recommendations (answers)."),
    ] = "catalogue,listening,recommendations",
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Written once the worker has its partitions.")
    ] = None,
) -> None:
    """Run roles of the stack against Kafka and Redis that run elsewhere, until SIGTERM or Ctrl-C.

    Start as many as you like: the workers of a role share its partitions. Without a Qdrant server
    (THROUGHBEAT_QDRANT_URL) catalogue and recommendations must be in one worker, which owns the index.

    Example: throughbeat worker --roles listening --kafka broker-1:9092
    """
    from streams.roles import assemble
    from streams.secrets import Discreet, secrets_in
    from streams.up import write_atomically
    from streams.worker import parse_roles, run_worker

    settings = settings_from(kafka, prefix, data_dir)
    wanted = parse_roles(roles)
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet(logging.Formatter(LOG_FORMAT), secrets_in(os.environ)))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING if settings.log_level != "debug" else logging.DEBUG)

    def on_ready() -> None:
        logging.getLogger(__name__).info("ready: %s", roles)
        if ready_file is not None:
            write_atomically(ready_file, roles.encode())

    asyncio.run(run_worker(settings, wanted, assemble, on_ready))
