"""`throughbeat publish`: lines of JSON to a topic, each checked before it leaves."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, settings_from
from streams.connections import connection_of
from streams.lines import LONGEST_LINE, bounded_lines, is_too_long
from topics.client import Client, Published
from topics.codec import decode
from topics.errors import PublishFailed, RecordRefused
from topics.outgoing import key_of
from topics.specs import TopicSpec, spec_named

WAITING_MAX = 5_000
Letter = tuple[bytes | None, bytes]


def publish(
    topic: Annotated[str, typer.Option(metavar="NAME", help="A topic of the contract, e.g. listening.events.")],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE|-", help="JSON lines; - is standard input.", show_default=False)
    ] = None,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Take it out of the catalogue instead of reading a file; may be repeated."),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Send each line unchecked, to see what becomes of it.")] = False,
    key: Annotated[str | None, typer.Option(metavar="ID", help="With --raw: the key of every line.")] = None,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send one record a line, and tell how many the broker has acknowledged.

    A line that breaks the contract is told with its number and reason and not sent; then the exit code is 1.

    Example: throughbeat publish plays.jsonl --topic listening.events
    Example: throughbeat publish --topic catalog.tracks --withdraw 2takcwOaAZWiXQijPHIx7B
    """
    spec = spec_named(topic)
    if (file is None) == (not withdraw):
        raise typer.BadParameter("expected either a FILE or --withdraw ID")
    settings = settings_from(kafka, prefix, data_dir)
    letter_of = _raw(spec, key) if raw or withdraw else _checked(spec)
    with _lines(file) as lines, Client(connection_of(settings), settings.topic_prefix) as client:
        sending = Sending(client, spec, letter_of, _tell_on_stderr)
        sending.withdraw(withdraw or ())
        sending.send(lines)
    _sum_up(sending, as_json)


@dataclass
class Sending:
    """Lines on their way to one topic.

    Attributes:
        letter_of: a line as key and value; raises RecordRefused.
        tell: is told each line that failed, and why.
    """

    client: Client
    spec: TopicSpec
    letter_of: Callable[[bytes], Letter]
    tell: Callable[[int, str], None]
    acknowledged: int = 0
    refused: int = 0
    failed: int = 0
    _waiting: deque[tuple[int, Future[Published]]] = field(default_factory=deque)

    def send(self, lines: Iterable[bytes]) -> None:
        """Send every line that is not empty; returns once each is acknowledged, refused or failed."""
        for number, line in enumerate(lines, start=1):
            if line.strip():
                self._send_one(number, line)
        self._settle(0)

    def withdraw(self, ids: Iterable[str]) -> None:
        """Withdraw records by id; the first that cannot be ends it."""
        for record_id in ids:
            self.client.withdraw(self.spec, record_id)
            self.acknowledged += 1

    def _send_one(self, number: int, line: bytes) -> None:
        try:
            if is_too_long(line):
                raise RecordRefused("too_large", f"expected at most {LONGEST_LINE} bytes a line")
            key, value = self.letter_of(line.strip())
        except RecordRefused as refused:
            self.refused += 1
            self.tell(number, f"{refused.reason}: {refused}")
            return
        self._waiting.append((number, self.client.post_bytes(self.spec, key, value)))
        self._settle(WAITING_MAX)

    def _settle(self, left: int) -> None:
        """Wait for the oldest until only so many are under way."""
        while len(self._waiting) > left:
            number, sent = self._waiting.popleft()
            try:
                sent.result()
                self.acknowledged += 1
            except PublishFailed as error:
                self.failed += 1
                self.tell(number, str(error))


def _checked(spec: TopicSpec) -> Callable[[bytes], Letter]:
    record_type = spec.record_type
    if record_type is None:
        raise typer.BadParameter(f"records of {spec.name} cannot be checked yet: use --raw, with --key")

    def letter_of(line: bytes) -> Letter:
        key = key_of(spec, decode(line, record_type))
        return None if key is None else key.encode(), line

    return letter_of


def _raw(spec: TopicSpec, key: str | None) -> Callable[[bytes], Letter]:
    def letter_of(line: bytes) -> Letter:
        return (_key_in(line, spec.key) if key is None else key.encode()), line

    return letter_of


def _key_in(line: bytes, name: str) -> bytes | None:
    """The id that the line itself says, if it is JSON and says one."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    value = found.get(name) if isinstance(found, dict) else None
    return value.encode() if isinstance(value, str) else None


@contextmanager
def _lines(file: str | None) -> Iterator[Iterable[bytes]]:
    """The lines of the file, with a bar on a terminal."""
    if file is None or file == "-":
        yield bounded_lines(sys.stdin.buffer) if file else ()
        return
    with Path(file).open("rb") as opened:
        if sys.stderr.isatty():
            with _bar(opened, Path(file).stat().st_size) as lines:
                yield bounded_lines(lines)
        else:
            yield bounded_lines(opened)


@contextmanager
def _bar(opened: BinaryIO, size: int) -> Iterator[BinaryIO]:
    from rich.console import Console
    from rich.progress import wrap_file

    with wrap_file(opened, size, description="publishing", console=Console(stderr=True), transient=True) as lines:
        yield lines


def _tell_on_stderr(number: int, reason: str) -> None:
    print(f"line {number}: {' '.join(reason.split())}", file=sys.stderr)


def _sum_up(sending: Sending, as_json: bool) -> None:
    counts = {"acknowledged": sending.acknowledged, "refused": sending.refused, "failed": sending.failed}
    if as_json:
        typer.echo(msgspec.json.encode(counts).decode())
    else:
        typer.echo(", ".join(f"{count:,} {what}" for what, count in counts.items() if count or what == "acknowledged"))
    if sending.refused or sending.failed:
        raise typer.Exit(1)
