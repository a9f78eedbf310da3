"""`throughbeat dead-letters`: what could not be applied, why, and a way to send it again."""

from __future__ import annotations

import base64
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from heapq import nlargest
from itertools import islice, takewhile
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, console, settings_from
from streams.connections import connection_of
from streams.dead_letters import SUFFIX, DeadLetter, Tally, dead_letters, tally_of
from streams.replays import Progress, Replayed
from streams.replays import replay as send_again
from topics.connection import Connection
from topics.specs import DEAD_LETTERS, TopicSpec, dead_letters_of, spec_named

PREVIEW = 2_000
Place = tuple[Connection, str]

dead_letters_app = typer.Typer(no_args_is_help=True, help="Look at what could not be applied, and send it again.")

TopicOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only letters of this topic, e.g. listening.events.")
]
ReasonOption = Annotated[str | None, typer.Option(metavar="CODE", help="Only letters with this reason, e.g. invalid.")]


@dead_letters_app.command("list")
def list_(
    kafka: KafkaOption = None, prefix: PrefixOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Count the letters by topic and reason, and how many were sent again.

    Example: throughbeat dead-letters list
    """
    place = _place(kafka, prefix, data_dir)
    progress = Progress(*place)
    with dead_letters(*place) as letters:
        found = tally_of(letters, progress.has)
    if as_json:
        typer.echo(msgspec.json.encode([_row(*pair) for pair in found.items()]).decode())
    elif found:
        console().print(_table(found))
    else:
        typer.echo("no dead letters")


@dead_letters_app.command()
def show(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    offset: Annotated[int | None, typer.Option(min=0, help="Begin there and go forward; else the latest.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Letters at most.")] = 1,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show letters with their reason, headers and bytes; what cannot be printed is escaped.

    With --json one object a line; key, value and headers are base64.

    Example: throughbeat dead-letters show --topic listening.events --reason wrong_key --limit 3
    """
    place = _place(kafka, prefix, data_dir)
    with _chosen(place, topic, reason) as letters:
        if offset is None:
            found = nlargest(limit, letters, key=lambda letter: (letter.at_ms, letter.topic.name, letter.offset))
        else:
            found = list(islice((letter for letter in letters if letter.offset >= offset), limit))
    progress = Progress(*place)
    for letter in found:
        typer.echo(msgspec.json.encode(_as_json(letter, progress)).decode() if as_json else told(letter, progress))
    if not found and not as_json:
        typer.echo("no such dead letters")


@dead_letters_app.command()
def replay(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send letters again to the topic they came from, byte for byte, say after a fix.

    Letters that were sent again before are left out; Ctrl-C stops it, and the next run goes on there. Kafka remembers
    how far it went for as long as it keeps offsets (7 days, unless offsets.retention.minutes says otherwise).

    Example: throughbeat dead-letters replay --topic listening.events --reason invalid --dry-run
    """
    place = _place(kafka, prefix, data_dir)
    progress = Progress(*place)
    waiting = Replayed()
    with _chosen(place, topic, reason) as letters:
        waiting.by_topic.update(one.origin.name for one in letters if not progress.has(one))
    if dry_run or not waiting.count:
        _sum_up(waiting, "would be sent again" if dry_run else "left to send again", as_json)
        return
    if not yes:
        typer.confirm(f"Send {_by_topic(waiting)} again?", abort=True, err=True)
    with _until_told_to_stop() as stopping, _bar(waiting.count) as advance, _chosen(place, topic, reason) as letters:
        done = send_again(*place, takewhile(lambda _: not stopping.is_set(), letters), progress, advance)
    _sum_up(done, "sent again", as_json)
    if stopping.is_set():
        raise typer.Exit(130)


def _place(kafka: str | None, prefix: str | None, data_dir: Path | None) -> Place:
    settings = settings_from(kafka, prefix, data_dir)
    return connection_of(settings), settings.topic_prefix


@contextmanager
def _chosen(place: Place, topic: str | None, reason: str | None) -> Iterator[Iterator[DeadLetter]]:
    with dead_letters(*place, None if topic is None else dead_topic(topic)) as letters:
        yield (letter for letter in letters if reason is None or letter.reason == reason)


def dead_topic(name: str) -> TopicSpec:
    """The dead-letter topic of a topic; either's name will do."""
    spec = dead_letters_of(spec_named(name.removesuffix(SUFFIX)))
    if spec not in DEAD_LETTERS:
        known = ", ".join(one.name.removesuffix(SUFFIX) for one in DEAD_LETTERS)
        raise typer.BadParameter(f"expected a topic with dead letters ({known}), got {name!r}")
    return spec


def _row(place: tuple[str, str], tally: Tally) -> dict[str, object]:
    times = {"first_at_ms": tally.first_at_ms, "last_at_ms": tally.last_at_ms}
    return {"topic": place[0], "reason": place[1], "count": tally.count, "replayed": tally.replayed, **times}


def _table(found: Mapping[tuple[str, str], Tally]) -> Any:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("topic", no_wrap=True)
    table.add_column("reason", style="yellow")
    table.add_column("letters", justify="right")
    table.add_column("sent again", justify="right")
    for name in ("first", "last"):
        table.add_column(name, style="dim", no_wrap=True)
    for (topic, reason), tally in found.items():
        counts = (f"{tally.count:,}", f"{tally.replayed:,}")
        table.add_row(topic, reason, *counts, time_of(tally.first_at_ms), time_of(tally.last_at_ms))
    return table


def time_of(at_ms: int) -> str:
    """UTC to the second; empty when unknown."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}" if at_ms else ""


def told(letter: DeadLetter, progress: Progress) -> str:
    """One letter for a person to read."""
    lines = [
        f"{letter.topic.name}[{letter.partition}]@{letter.offset}  {time_of(letter.at_ms)}",
        f"  reason   {letter.reason}: {preview(letter.message.encode())}",
        f"  came as  {_source(letter)}{'  (sent again)' if progress.has(letter) else ''}",
        f"  key      {preview(letter.key)}",
        *(f"  header   {name}: {preview(value)}" for name, value in letter.headers),
        f"  value    {preview(letter.value)}",
    ]
    return "\n".join(lines)


def _source(letter: DeadLetter) -> str:
    why = dict(letter.why)
    return f"{letter.origin.name}[{why.get('dead_partition', '?')}]@{why.get('dead_offset', '?')}"


def preview(data: bytes | None, limit: int = PREVIEW) -> str:
    """Bytes as text on one line, with everything that is no printable character escaped."""
    if data is None:
        return "(none)"
    text = data[:limit].decode("utf-8", errors="backslashreplace")
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return shown if len(data) <= limit else f"{shown}... ({len(data):,} bytes)"


def _as_json(letter: DeadLetter, progress: Progress) -> dict[str, object]:
    return {
        "topic": letter.topic.name,
        "partition": letter.partition,
        "offset": letter.offset,
        "replayed": progress.has(letter),
        **dict(letter.why),
        "key": _base64(letter.key),
        "value": _base64(letter.value),
        "headers": [[name, _base64(value)] for name, value in letter.headers],
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _by_topic(replayed: Replayed) -> str:
    return ", ".join(f"{count:,} of {topic}" for topic, count in sorted(replayed.by_topic.items())) or "nothing"


def _sum_up(replayed: Replayed, what: str, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode({"letters": replayed.count, "by_topic": dict(replayed.by_topic)}).decode())
        return
    typer.echo(f"{_by_topic(replayed)} {what}")
    if replayed.unsendable:
        typer.echo(f"{replayed.unsendable:,} left out: records without key and value, or too large, cannot be sent")


@contextmanager
def _until_told_to_stop() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM: what is under way is finished and kept, so that no letter is sent twice."""
    stopping = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending again", total=total)
        yield lambda count: bar.update(task, completed=count)
