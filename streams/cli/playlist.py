"""`throughbeat playlist`: what a playlist is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, console, settings_from

if TYPE_CHECKING:
    from streams.playlist_report import Listed, Report
    from streams.settings import Settings

# Best and worst of a long playlist.
SHOWN = 10
playlist_app = typer.Typer(no_args_is_help=True, help="Look at a playlist as the lab does.")


@playlist_app.callback()
def playlist() -> None:
    """Look at a playlist as the lab does."""


@playlist_app.command()
def analyse(
    target: Annotated[str, typer.Argument(metavar="FILE|ID", help="A file of playlists, or the id of one in Kafka.")],
    which: Annotated[
        str | None, typer.Option("--playlist", metavar="ID", help="Which one of a file that holds several.")
    ] = None,
    catalogue: Annotated[
        str | None,
        typer.Option(metavar="PATH|sample", help="Its tracks; else those of the running installation, from Kafka."),
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Write a page with plots, too.")] = None,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how much a playlist holds together, what does not fit, what would go well with it, and a smoother order.

    Sound is compared by the embedding of the installation's own model. Of more than 1,000
    tracks the first are looked at.

    Example: throughbeat playlist analyse streams/catalogue/sample/playlists.csv.gz --catalogue sample --playlist ID
    """
    from models.embeat_mlp import load_checkpoint
    from streams.playlist_page import page_of
    from streams.playlist_report import report_of, summary

    settings = settings_from(kafka, prefix, data_dir)
    report = report_of(_listed(target, which, catalogue, settings), load_checkpoint(settings.embeat_mlp_checkpoint))
    if html is not None:
        html.write_text(page_of(report), encoding="utf-8")
    if as_json:
        typer.echo(msgspec.json.encode(summary(report)).decode())
    else:
        _show(report, html)


def _listed(target: str, which: str | None, catalogue: str | None, settings: Settings) -> Listed:
    """The playlist with its catalogue, each from a file or from Kafka."""
    from streams.catalogue import sample_tracks
    from streams.connections import connection_of
    from streams.logged import read_catalogue
    from streams.playlist_report import Listed, PlaylistUnknown, catalogue_in, playlist_in

    path = Path(target)
    in_file = playlist_in(path, which) if path.is_file() else None
    if in_file is None and catalogue is not None:
        raise PlaylistUnknown(f"expected a file of playlists to go with --catalogue, got {target}")
    if in_file is not None and catalogue is not None:
        return Listed(*in_file, catalogue_in(sample_tracks() if catalogue == "sample" else Path(catalogue)))
    tracks, playlists = read_catalogue(connection_of(settings), settings.topic_prefix)
    if in_file is None:
        if target not in playlists:
            raise PlaylistUnknown(f"expected a file, or one of the {len(playlists)} playlists in Kafka, got {target}")
        in_file = playlists[target].name or target, playlists[target].track_ids
    return Listed(*in_file, tracks)


def _show(report: Report, html: Path | None) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = console()
    out.print(f"[bold]cohesion {report.cohesion:.2f}[/] of {len(report.lines)} tracks", highlight=False)
    if report.missing:
        out.print(f"{len(report.missing)} more are unknown, or how they sound", style="yellow", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for name in ("fit", "title", "artist", ""):
        table.add_column(name)
    ordered = sorted(report.lines, key=lambda one: (-one.fit, one.position))
    shown = ordered if len(ordered) <= 2 * SHOWN else [*ordered[:SHOWN], *ordered[-SHOWN:]]
    for one in shown:
        said = {"outlier": one.is_outlier, "hub": one.is_hub, "isolate": one.is_isolate}
        tags = ", ".join(name for name, holds in said.items() if holds)
        table.add_row(*(Text(cell) for cell in (f"{one.fit:.2f}", one.title, one.artist, tags)))
    out.print(table)
    if report.next:
        out.print("[bold]would go well with it[/]")
        for track in report.next[:SHOWN]:
            out.print(Text(f"  {track.likeness:.2f}  {track.title} - {track.artist}"))
    if report.order.cost < report.order.cost_now:
        out.print("[bold]a smoother order[/] " + _smoother(report), highlight=False)
        titles = {one.track_id: f"{one.title} - {one.artist}" for one in report.lines}
        for track_id in report.order.track_ids[:SHOWN]:
            out.print(Text(f"  {titles[track_id]}"))
    if html is not None:
        out.print(f"plots in {html}", highlight=False)


def _smoother(report: Report) -> str:
    order = report.order
    first = f", the first {SHOWN}" if len(order.track_ids) > SHOWN else ""
    return f"(from track to track {1 - order.cost / order.cost_now:.0%} less changes{first})"
