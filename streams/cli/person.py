"""`throughbeat person`: what is held about somebody."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, settings_from
from streams.settings import Settings

person_app = typer.Typer(no_args_is_help=True, help="Show all that is held about a person.")


@person_app.callback()
def person() -> None:
    """Show all that is held about a person."""


@person_app.command()
def show(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user_id of their events.")],
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a person has heard, likes and blocks, and their last events.

    Example: throughbeat person show ada --json
    """
    found = asyncio.run(_read(settings_from(kafka, prefix, data_dir), user))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _show(found)


async def _read(settings: Settings, user: str) -> dict[str, Any]:
    from streams.state.connection import connect
    from streams.state.persons import PersonStore

    redis = connect(settings)
    try:
        return await PersonStore(redis, settings).person_report(user)
    finally:
        await redis.aclose()


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{found['user_id']}[/]: {found['events_counted']} events counted")
    for name in ("likes", "dislikes", "saves", "blocked_artists", "followed_artists"):
        if found[name]:
            console.print(f"[bold]{name.replace('_', ' ')}[/] ({len(found[name])}): {', '.join(found[name][-10:])}")
    if "weekly_lists" in found:
        told = (f"{one['week']} ({len(one['track_ids'])} tracks)" for one in found["weekly_lists"])
        console.print(f"[bold]weekly lists[/]: {', '.join(told)}")
    heard = Table("track", title=f"heard ({len(found['heard'])}, the last 15)", title_justify="left", box=None)
    for name in ("plays", "skips", "last"):
        heard.add_column(name, justify="right")
    for one in sorted(found["heard"], key=lambda track: -track["last_at_ms"])[:15]:
        heard.add_row(one["track_id"], str(one["plays"]), str(one["skips"]), _date(one["last_at_ms"]))
    console.print(heard)
    events = Table("kind", "about", "when", title="session (the last 15)", title_justify="left", box=None)
    for event in found["session"][-15:]:
        about = event.get("track_id") or event.get("artist_id") or ""
        events.add_row(event["kind"], about, _date(event["occurred_at_ms"]))
    console.print(events)


def _date(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
