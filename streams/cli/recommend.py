"""`throughbeat recommend`: one request over Kafka, as any other program would send it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, console, settings_from
from streams.connections import connection_of
from streams.errors import StreamError
from topics.client import Client
from topics.records import Filters, Item, RecommendationReply, RecommendationRequest, Seed, SurfaceName, Understood

if TYPE_CHECKING:
    from rich.table import Table

# Beyond its deadline an answer is worthless; the rest is for the way there and back.
ON_THE_WAY_S = 2.0
WITHOUT_DEADLINE_S = 10.0
# What the contract lets a request hold.
SEEDS_MAX, LONGEST_SEED = 100, 500
SEED_KINDS = {"track": "track_id", "artist": "artist_id", "playlist": "playlist_id"}


class RequestRefused(StreamError):
    """The answer is an error; its code and message are the recommender's."""


def recommend(
    user: Annotated[str | None, typer.Option(metavar="ID", help="Who it is for; else anonymous.")] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEED",
            help="track:ID, artist:ID, playlist:ID, 'title - artist', or words: 'calm 80s synthpop'; repeatable.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=500, help="Tracks at most; 30 unless said.")] = None,
    surface: Annotated[
        SurfaceName | None, typer.Option(help="What it is shown as; it sets the rate of trying.")
    ] = None,
    mix: Annotated[int | None, typer.Option(min=0, max=99, help="Which of the person's daily mixes, from 0.")] = None,
    breadth: Annotated[
        float | None, typer.Option(min=0, max=1, help="0 = one tight pocket, 1 = all of the person's pockets.")
    ] = None,
    exploration: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of positions that are tried out; else the surface's.")
    ] = None,
    market: Annotated[str | None, typer.Option(metavar="CODE", help="Only tracks that may be played there.")] = None,
    exclude_heard_days: Annotated[
        float | None, typer.Option(min=0, help="Nothing that was heard in so many days.")
    ] = None,
    deadline_ms: Annotated[int | None, typer.Option(min=1, help="Past it an answer is worthless.")] = None,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for recommendations and see why each is there.

    Without a seed the person's taste decides; of somebody unknown, what is popular and fresh.

    Example: throughbeat recommend --user ada --seed "Time Is Running Out - Muse" --limit 10
    """
    limits = Filters(market=market, exclude_heard_days=exclude_heard_days)
    request = RecommendationRequest(
        request_id=f"cli-{uuid.uuid4().hex}",
        user_id=user,
        limit=limit,
        surface=surface,
        mix=mix,
        seeds=seeds_of(seed) if seed else None,
        breadth=breadth,
        exploration=exploration,
        filters=None if limits == Filters() else limits,
        deadline_ms=deadline_ms,
        explain=True,
    )
    settings = settings_from(kafka, prefix, data_dir)
    with Client(connection_of(settings), settings.topic_prefix) as client:
        client.prepare()
        began = time.perf_counter()
        reply = client.ask(request, WITHOUT_DEADLINE_S if deadline_ms is None else deadline_ms / 1000 + ON_THE_WAY_S)
        round_trip_ms = (time.perf_counter() - began) * 1000
    _tell(reply, round_trip_ms, as_json)


def seeds_of(texts: Sequence[str]) -> tuple[Seed, ...]:
    """The seeds that texts name. Raises typer.BadParameter for more than a request may have."""
    if len(texts) > SEEDS_MAX:
        raise typer.BadParameter(f"expected at most {SEEDS_MAX} seeds, got {len(texts)}")
    return tuple(map(seed_of, texts))


def seed_of(text: str) -> Seed:
    """`track:ID`, `artist:ID` and `playlist:ID` name one thing; anything else is searched for.

    Raises:
        typer.BadParameter: it is empty, or longer than a seed may be.
    """
    if not text.strip() or len(text) > LONGEST_SEED:
        raise typer.BadParameter(f"expected a seed of 1 to {LONGEST_SEED} characters, got {len(text.strip())}")
    kind, colon, record_id = text.partition(":")
    if colon and record_id and kind in SEED_KINDS:
        return Seed(**{SEED_KINDS[kind]: record_id})
    return Seed(query=text)


def _tell(reply: RecommendationReply, round_trip_ms: float, as_json: bool) -> None:
    if as_json:
        typer.echo(
            msgspec.json.encode({**msgspec.to_builtins(reply), "round_trip_ms": round(round_trip_ms, 2)}).decode()
        )
    if reply.status == "error":
        code, message = (reply.error.code, reply.error.message) if reply.error else ("internal", "no reason was given")
        raise RequestRefused(f"{code}: {message}")
    if not as_json:
        out = console()
        if reply.items:
            out.print(table_of(reply.items))
        for one in reply.understood:
            out.print(meaning_of(one), style="green", highlight=False, markup=False)
        out.print(f"[bold]{len(reply.items)}[/] tracks, {timing_of(reply, round_trip_ms)}", highlight=False)
        for note in reply.notes:
            out.print(note, style="yellow", highlight=False)
        if reply.degraded:
            out.print(f"left out: {', '.join(reply.degraded)}; see `throughbeat doctor`", style="yellow")


def meaning_of(one: Understood) -> str:
    """What a free text was taken for, and what else it may mean."""
    if one.kind == "words":
        ranges = [f"{name} {low:g} to {high:g}" for name, (low, high) in one.features.items()]
        years = [f"{one.years[0]} to {one.years[1]}"] if one.years else []
        ignored = f"; not understood: {', '.join(one.ignored)}" if one.ignored else ""
        return f"“{one.query}” as {', '.join([*one.genres, *ranges, *years]) or 'any sound'}{ignored}"
    artist = " (artist)" if one.kind == "artist" else ""
    others = f"; it may also mean {'; '.join(one.others)}" if one.others else ""
    return f"“{one.query}” as {one.label}{artist}{others}"


def timing_of(reply: RecommendationReply, round_trip_ms: float) -> str:
    """How long it took, and how much of it was the recommender's own."""
    return f"{round_trip_ms:.1f} ms there and back, {reply.took_ms:.1f} ms of it in the recommender"


def table_of(items: Sequence[Item]) -> Table:
    """What is recommended, best first: what it is, why, and which channels found it at which rank."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("title", style="bold", ratio=3)
    table.add_column("artists", style="cyan", ratio=2)
    table.add_column("why", ratio=4)
    table.add_column("found by", style="dim", ratio=2)
    for item in items:
        # As text, not markup: a title may hold square brackets.
        artists = ", ".join(artist.name or artist.artist_id or "?" for artist in item.artists)
        cells = (str(item.position + 1), item.title, artists, why_of(item), channels_of(item))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def why_of(item: Item) -> str:
    """The reason, and whether it was tried out at random."""
    text = item.why.text if item.why else ""
    if not item.explored:
        return text
    chance = "" if item.propensity is None else f", by a chance of {item.propensity:.0%}"
    return f"{text} (tried out{chance})".strip()


def channels_of(item: Item) -> str:
    """Channels with the track's rank in each, from 1, the best first."""
    ranked = sorted(item.channels.items(), key=lambda pair: (pair[1], pair[0]))
    return ", ".join(f"{name} {rank + 1}" for name, rank in ranked)
