"""`throughbeat import`: catalogue files to Kafka, with a bar, a reason for every refused row, and a way to go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, settings_from
from streams.importing import Kind, Options, Report, import_file
from streams.importing.run import OnProgress
from streams.importing.run import Progress as Standing
from streams.settings import Settings

import_app = typer.Typer(
    no_args_is_help=True,
    help="Bring a catalogue in from files. An import that was interrupted goes on where it stopped.",
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]
UpdatedAtOption = Annotated[
    str | None,
    typer.Option(
        "--updated-at",
        metavar="now|TIME",
        help="Stamp of records that have none of their own (column updated_at_ms): now, 2024-05-17T09:30:00Z or "
        "milliseconds. A record with an older stamp never replaces a newer one; one without a stamp always does. "
        "Not given: no stamp.",
        show_default=False,
    ),
]
RestartOption = Annotated[
    bool, typer.Option("--restart", help="Begin anew, not where an interrupted import of the same file stopped.")
]
RefusedOption = Annotated[
    Path | None,
    typer.Option("--refused", metavar="PATH", help="Write refused rows there: JSON lines of row, reason, line."),
]

INTERRUPTED = 130


@import_app.command()
def tracks(
    file: FileArgument,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    updated_at: UpdatedAtOption = None,
    restart: RestartOption = False,
    refused: RefusedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tracks: .csv[.gz] with a header, or .jsonl[.gz] with a record of the contract a line.

    Columns: track_id, title; maybe artist_id, artist_name, album_id, album_name, release_date, popularity, explicit,
    duration_ms, isrc, updated_at_ms, the audio features by name, and genres and markets as lists like "rock;pop".
    An empty cell means unknown.

    Example: throughbeat import tracks tracks.csv.gz --refused refused.jsonl
    """
    settings = settings_from(kafka, prefix, data_dir)
    _import("tracks", file, settings, Options(updated_at, restart, refused_path=refused), as_json)


@import_app.command()
def artists(
    file: FileArgument,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    updated_at: UpdatedAtOption = None,
    restart: RestartOption = False,
    refused: RefusedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Artists: .json[.gz] with {"artist_id": ["genre"]} or {"artist_id": {"name", "genres"}}, .csv[.gz] or .jsonl[.gz].

    Columns: artist_id; maybe name, popularity, updated_at_ms, and genres and related as lists like "rock;pop".

    Example: throughbeat import artists artist_genres.json.gz
    """
    settings = settings_from(kafka, prefix, data_dir)
    _import("artists", file, settings, Options(updated_at, restart, refused_path=refused), as_json)


@import_app.command()
def playlists(
    file: FileArgument,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    updated_at: UpdatedAtOption = None,
    restart: RestartOption = False,
    refused: RefusedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Playlists: .csv[.gz] with one row a track, in any order, or .jsonl[.gz] with one playlist a line.

    Columns: playlist_id, track_id; maybe playlist_name, position, followers, updated_at_ms.

    Example: throughbeat import playlists playlists.csv.gz --updated-at now
    """
    settings = settings_from(kafka, prefix, data_dir)
    _import("playlists", file, settings, Options(updated_at, restart, refused_path=refused), as_json)


@import_app.command()
def charts(
    file: FileArgument,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    restart: RestartOption = False,
    refused: RefusedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Charts: .csv[.gz] with the columns day (2024-05-17), chart, track_id, and maybe position.

    Each chart of a day becomes the playlist "chart:<name>", stamped with that day; days are sent in their order.

    Example: throughbeat import charts charts.csv.gz
    """
    settings = settings_from(kafka, prefix, data_dir)
    _import("charts", file, settings, Options(restart=restart, refused_path=refused), as_json)


def _import(kind: Kind, file: Path, settings: Settings, options: Options, as_json: bool) -> None:
    # aiokafka tells each attempt to connect: noise where nobody has asked for a log.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    done = 0
    try:
        with _bar(kind) as show:

            def watch(standing: Standing) -> None:
                nonlocal done
                done = standing.rows
                show(standing)

            report = import_file(kind, file, settings, options=options, on_progress=watch)
    except KeyboardInterrupt:
        typer.echo(f"throughbeat: stopped after row {done:,}; run the same command again to go on there", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(msgspec.json.encode(_as_json(report)).decode())
    else:
        _tell(report)
    if report.refused and not report.sent:
        raise typer.Exit(1)


class _Rate(TextColumn):
    def render(self, task: Task) -> Text:
        """Rows a second, once there is something to tell."""
        return Text(f"{task.speed or 0:,.0f}/s" if task.speed else "")


@contextmanager
def _bar(kind: Kind) -> Iterator[OnProgress]:
    """A bar on standard error for a person who watches; the place where an import resumes is told to everybody."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} rows"),
        _Rate(""),
        TimeRemainingColumn(),
        TextColumn("{task.fields[refused]:,} refused"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(kind, total=0, refused=0, visible=False)

        def show(standing: Standing) -> None:
            first = not progress.tasks[0].visible
            if first and standing.resumed_rows:
                row, total = standing.resumed_rows + 1, standing.total
                console.print(f"resuming at row {row:,} of {total:,} (--restart begins anew)", highlight=False)
            progress.update(task, visible=True, completed=standing.rows, total=standing.total, refused=standing.refused)

        yield show


def _as_json(report: Report) -> dict[str, object]:
    return {
        "kind": report.kind,
        "file": str(report.path),
        "rows": report.rows,
        "sent": report.sent,
        "refused": report.refused,
        "resumed_at_row": report.resumed_rows + 1 if report.resumed_rows else None,
        "seconds": round(report.seconds, 3),
        "rows_per_second": round(report.rows_per_second),
    }


def _tell(report: Report) -> None:
    what = "playlists" if report.kind == "charts" else report.kind
    rate = f"{report.seconds:.1f} s, {report.rows_per_second:,.0f} rows a second"
    console = Console(highlight=False)
    console.print(f"{report.sent:,} {what} sent of {report.rows:,} rows in {rate}")
    if report.refused:
        table = Table("refused rows", "because", box=None, header_style="bold", pad_edge=False)
        for reason, rows in sorted(report.refused.items(), key=lambda pair: (-pair[1], pair[0])):
            table.add_row(f"{rows:,}", Text(reason))
        console.print(table)
