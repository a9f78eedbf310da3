"""`throughbeat weekly`: a list for everybody who listens, once a week."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, console, settings_from
from streams.connections import connection_of
from streams.errors import StreamError

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.weekly import Outcome

DAY_MS = 86_400_000


class ListsNotMade(StreamError):
    """Some persons have no list."""


def _share(text: str) -> str:
    found = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise typer.BadParameter(f"expected a share such as 2/4, got {text!r}")
    return text


def _week(text: str | None) -> str | None:
    from topics.records import Week

    try:
        return None if text is None else msgspec.convert(text, Week)
    except msgspec.ValidationError:
        raise typer.BadParameter(f"expected a week such as 2026-W47, got {text!r}") from None


def weekly(
    week: Annotated[
        str | None, typer.Option(callback=_week, metavar="YYYY-Www", help="Another week than this one.")
    ] = None,
    active_days: Annotated[float, typer.Option(min=0, help="For whoever did something in so many days.")] = 28,
    share: Annotated[
        str,
        typer.Option(
            callback=_share, metavar="I/N", help="One of N runs at a time, each with some of the topic's partitions."
        ),
    ] = "1/1",
    at_once: Annotated[int, typer.Option(min=1, max=500, help="Requests under way, at most.")] = 16,
    again: Annotated[bool, typer.Option("--again", help="Make this week's lists anew, of other tracks.")] = False,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the week's list of 30 tracks for everybody active, into the topic playlists.weekly.

    What the lists of the last 12 weeks held does not come again. Stopped at any moment, the same command goes on with
    those who have no list yet.

    Example: throughbeat weekly --active-days 90
    """
    from streams.logged import partitions_of
    from streams.weekly import Share, lists_so_far, make_lists
    from streams.weeks import week_of
    from topics.client import Client
    from topics.specs import PLAYLISTS_WEEKLY

    settings = settings_from(kafka, prefix, data_dir)
    now_ms = int(time.time() * 1000)
    wanted = week or week_of(now_ms)
    number, shares = map(int, share.split("/"))
    partitions = partitions_of(connection_of(settings), PLAYLISTS_WEEKLY, settings.topic_prefix)
    if shares > partitions:
        raise ListsNotMade(f"expected at most {partitions} shares, one a partition of playlists.weekly, got {shares}")
    mine = Share(number, shares, partitions)
    persons = mine.persons(asyncio.run(_active(settings, int(now_ms - active_days * DAY_MS))))
    before = lists_so_far(connection_of(settings), settings.topic_prefix, mine)
    began_s, stop = time.monotonic(), threading.Event()
    with Client(connection_of(settings), settings.topic_prefix) as client, _progress(len(persons)) as on_seen:
        client.prepare()
        try:
            outcome = make_lists(
                client, wanted, persons, before, at_once=at_once, again=again, on_seen=on_seen, stop=stop
            )
        except KeyboardInterrupt:
            stop.set()
            raise typer.Abort from None
    _tell(outcome, wanted, time.monotonic() - began_s, as_json)


async def _active(settings: Settings, since_ms: int) -> list[str]:
    from streams.state.connection import connect
    from streams.state.persons import PersonStore

    redis = connect(settings)
    try:
        return await PersonStore(redis, settings).active_since(since_ms)
    finally:
        await redis.aclose()


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Outcome], None]]:
    """A bar on standard error, told of each person."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("lists", total=total)
        yield lambda outcome: bar.update(task, completed=outcome.seen)


def _tell(outcome: Outcome, week: str, seconds: float, as_json: bool) -> None:
    rate = outcome.made / seconds if seconds else 0.0
    if as_json:
        counts = {**vars(outcome), "failed": dict(outcome.failed)}
        said = {"week": week, **counts, "seconds": round(seconds, 3), "lists_per_s": round(rate, 1)}
        typer.echo(msgspec.json.encode(said).decode())
    else:
        parts = [f"[bold]{outcome.made}[/] lists of {week} in {seconds:.1f} s, {rate:.0f} a second"]
        parts += [f"{outcome.partial} of them with a channel left out"] if outcome.partial else []
        parts += [f"{outcome.kept} persons had theirs"] if outcome.kept else []
        parts += [f"{outcome.empty} with nothing left to recommend"] if outcome.empty else []
        console().print("; ".join(parts), highlight=False)
    if outcome.failed:
        reasons = ", ".join(f"{count} {code}" for code, count in outcome.failed.most_common())
        raise ListsNotMade(f"{outcome.failed.total()} persons have no list ({reasons}): run the command again")
