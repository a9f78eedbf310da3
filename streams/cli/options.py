"""What every command shares: its options, where it finds the running stack, and errors of one line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from streams.settings import Settings

KafkaOption = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        metavar="HOST:PORT",
        help="Brokers. Else THROUGHBEAT_KAFKA_URL, else the stack that `throughbeat up` runs on the data directory.",
    ),
]
PrefixOption = Annotated[
    str | None,
    typer.Option("--prefix", metavar="NAME", help="Installation, before every topic. Else THROUGHBEAT_TOPIC_PREFIX."),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where `throughbeat up` keeps its data. Else THROUGHBEAT_DATA_DIR."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, for programs.")]

STACK_FILE = "stack.json"
# Each layer's root; an error of a module that nobody has imported cannot have been raised.
ROOTS = (
    ("topics.errors", "TopicError"),
    ("models.errors", "ModelError"),
    ("recall.errors", "RecallError"),
    ("streams.errors", "StreamError"),
    ("streams.embedded.errors", "EmbeddedError"),
    ("kafka.errors", "KafkaError"),
    ("aiokafka.errors", "KafkaError"),
)


def settings_from(
    kafka: str | None = None,
    prefix: str | None = None,
    data_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of a command: its options, then the environment, then the stack that runs here, then the defaults.

    Raises:
        SettingInvalid: one of them cannot be used.
    """
    from streams.settings import read_settings, variable

    given = os.environ if environment is None else environment
    place = read_settings(given, data_dir=data_dir).data_dir
    running = {variable(name): value for name, value in running_stack(place).items()}
    known = {**running, **{name: value for name, value in given.items() if value}}
    return read_settings(known, kafka_url=kafka, topic_prefix=prefix, data_dir=data_dir)


def running_stack(data_dir: Path) -> dict[str, str]:
    """The addresses that `throughbeat up` has left in its data directory; none where it does not run."""
    import msgspec

    path = data_dir / STACK_FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, str | None])
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} is no stack file ({error}): stop `throughbeat up` and remove it") from error
    return {name: value for name, key in (("kafka_url", "kafka"), ("redis_url", "redis")) if (value := found.get(key))}


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line on standard error that says what to do: 1, or 2 for a wrong command line.

    With THROUGHBEAT_LOG_LEVEL=debug the traceback is shown instead.
    """
    # kafka-python tells each attempt to connect: noise where nobody has asked for a log.
    logging.getLogger("kafka").addHandler(logging.NullHandler())
    try:
        yield
    except Exception as error:
        line, code = line_of(error)
        if code == 1 and os.environ.get("THROUGHBEAT_LOG_LEVEL") == "debug":
            raise
        from streams.secrets import hide, secrets_in

        print(f"throughbeat: {hide(line, secrets_in(os.environ))}", file=sys.stderr)
        if not isinstance(error, expected()) and logging.getLogger().handlers:
            # A worker writes a log, and whoever reads it wants to know where.
            logging.getLogger(__name__).error("ended by a bug", exc_info=error)
        raise SystemExit(code) from None


def line_of(error: Exception) -> tuple[str, int]:
    """What to tell a person about an error, and the exit code."""
    if hasattr(error, "format_message"):
        return _usage(error), int(getattr(error, "exit_code", 2))
    if isinstance(error, typer.Abort):
        return "given up, nothing more was done", 1
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", 1
    if isinstance(error, expected()):
        return text or type(error).__name__, 1
    return f"{type(error).__name__}: {text}; this is a bug: set THROUGHBEAT_LOG_LEVEL=debug to see where", 1


def expected() -> tuple[type[BaseException], ...]:
    """The kinds of error whose message is meant for a person."""
    loaded = (getattr(sys.modules.get(module), name, None) for module, name in ROOTS)
    return (OSError, typer.Abort, *(root for root in loaded if root is not None))


def _usage(error: Any) -> str:
    """Typer's message with the command whose help has the answer."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "throughbeat"
    if type(error).__name__ == "NoArgsIsHelpError":
        # With rich help the message is empty: the help has been shown. Without, it is the help.
        return f"expected a command; see `{path} --help`"
    message = " ".join(error.format_message().split())
    return f"{message} See `{path} --help`" if message.endswith("?") else f"{message.rstrip('.')}; see `{path} --help`"


def console() -> Console:
    """Where tables go; wide where no terminal cuts them."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=160)
