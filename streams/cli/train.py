"""`throughbeat train`: new versions of the models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption

if TYPE_CHECKING:
    from streams.drift import OnStep
    from streams.labelled import Catalogue

train_app = typer.Typer(no_args_is_help=True, help="Train a model from a catalogue.")

TracksOption = Annotated[
    Path | None, typer.Option("--tracks", metavar="FILE", help="Tracks as `import tracks` reads them; else the sample.")
]
PlaylistsOption = Annotated[
    Path | None, typer.Option("--playlists", metavar="FILE", help="Playlists as `import playlists` reads them.")
]
ArtistsOption = Annotated[
    Path | None,
    typer.Option("--artists", metavar="FILE", help="Artists as `import artists` reads them: they lend genres."),
]
BesideOption = Annotated[
    list[Path] | None,
    typer.Option("--beside", metavar="PATH", help="Other weights to measure on the same artists; may be repeated."),
]


@train_app.callback()
def train() -> None:
    """Train a model from a catalogue."""


def _writable(out: Path) -> Path:
    """Refuse before minutes of training what could not be saved after them."""
    if out.suffix != ".safetensors":
        raise typer.BadParameter(f"expected a name that ends in .safetensors, got {out.name}")
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"expected a folder {out.absolute().parent}, got none: make it first")
    return out


@train_app.command("embeat-mlp")
def embeat_mlp(
    out: Annotated[
        Path,
        typer.Option(
            callback=_writable, metavar="PATH", help="Weights, .safetensors; the manifest is written beside them."
        ),
    ],
    tracks: TracksOption = None,
    playlists: PlaylistsOption = None,
    artists: ArtistsOption = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches; else as many as show every track about 15 times, 30 at least.")
    ] = None,
    batch: Annotated[int, typer.Option(min=2, max=65_536, help="Pairs a step.")] = 1024,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, files and threads give the same weights.")] = 7,
    beside: BesideOption = None,
) -> None:
    """Train the embedding on pairs of one album, artist, genre or playlist; a fifth of the artists is held out.

    The figures on these go into the manifest. Stopped at any moment, the same command goes on where it was, from
    PATH with the ending .progress.

    Example: throughbeat train embeat-mlp --out mine.safetensors
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from models.contrastive import Training
    from streams.cli.embedding_table import print_comparison
    from streams.training import examples_of, fingerprint, train_on

    files, catalogue = read_files(tracks, playlists, artists)
    examples = examples_of(catalogue)
    training = Training(steps=steps, batch=batch, seed=seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=training.steps_for(len(examples.tracks)))

        def on_step(step: int, loss: float) -> None:
            bar.update(task, completed=step + 1, description=f"training, loss {loss:.3f}")

        metrics = train_on(catalogue, examples, training, out, fingerprint(*files), on_step, beside or ())
    print_comparison(metrics)


@train_app.command("collaborative")
def collaborative(
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds and of all that is drawn.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Learn from all playlists and sessions that an installation holds, and let its answers use that.

    Reads the log from beginning to end, so nothing that has arrived is missing and nothing counts twice. The version is
    kept in the data directory; the one that served before goes on serving until the new one is whole. A running
    installation does the same by itself when playlists or tracks have changed.

    Example: throughbeat train collaborative
    """
    import msgspec
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from streams.cli.options import settings_from
    from streams.refreshing import refresh

    settings = settings_from(kafka, prefix, data_dir)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading the log", total=None)
        found = refresh(
            settings, seed, lambda doing, done, total: bar.update(task, description=doing, completed=done, total=total)
        )
    told = {name: found[name] for name in ("version", "tracks", "lists", "took_s")}
    typer.echo(
        msgspec.json.encode(found).decode()
        if as_json
        else "version {version}: {tracks:,} tracks and {lists:,} lists in {took_s} s".format(**told)
    )


@train_app.command()
def track2vec(
    out: Annotated[Path, typer.Option(callback=_writable, metavar="PATH", help="The model, one file, .safetensors.")],
    playlists: PlaylistsOption = None,
    passes: Annotated[int | None, typer.Option(min=1, help="Over all playlists; else as many as settle it.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and file give the same vectors.")] = 7,
) -> None:
    """Train Track2Vec on playlists: tracks that people put together come to be near one another.

    A worker goes on from there with what arrives, when THROUGHBEAT_TRACK2VEC_CHECKPOINT names the file. Stopped at any
    moment, the same command goes on where it was, from PATH with the ending .progress.

    Example: throughbeat train track2vec --playlists playlists.csv.gz --out mine.safetensors
    """
    from models.track2vec import Config
    from models.track2vec_file import save
    from models.track2vec_training import beginning, train
    from streams.playlists import read_playlists
    from streams.training import fingerprint

    path, changes = read_playlists(playlists)
    config = Config(passes=passes) if passes else Config()
    model = beginning(changes, config, seed)
    with bar_of("training") as on_step:
        train(model, lambda done: on_step("training", done, config.passes), out.with_suffix(".progress"))
    save(model, out, {"data": fingerprint(path)})
    typer.echo(f"{out}: {len(model.track_ids):,} tracks of {len(model.lists):,} playlists")


@contextmanager
def bar_of(task: str) -> Iterator[OnStep]:
    """A progress bar on standard error; what it gives is told the task, and how many of how many steps are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(task, total=None)

        def on_step(name: str, done: int, total: int) -> None:
            bar.update(shown, description=name, completed=done, total=total)

        yield on_step


def read_files(tracks: Path | None, playlists: Path | None, artists: Path | None) -> tuple[list[Path], Catalogue]:
    """What to train on: the files given, else those of the sample, and what they hold.

    Raises:
        FileUnreadable, ColumnsMissing: what their names say.
    """
    from streams.catalogue import sample_playlists, sample_tracks
    from streams.labelled import read_catalogue

    files = [tracks or sample_tracks(), playlists or sample_playlists(), *([artists] if artists else [])]
    return files, read_catalogue(files[0], files[1], artists)
