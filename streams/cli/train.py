"""`throughbeat train`: new versions of the models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.training import Catalogue

train_app = typer.Typer(no_args_is_help=True, help="Train a model from a catalogue.")


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
    tracks: Annotated[Path | None, typer.Option(help="Tracks as `import tracks` reads them; else the sample.")] = None,
    playlists: Annotated[Path | None, typer.Option(help="Playlists as `import playlists` reads them.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of 1,024 pairs each.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed, files and threads give the same weights here.")] = 7,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Other weights to measure on the same held-out artists.")
    ] = None,
) -> None:
    """Train the embedding on pairs of one album, artist or playlist; a tenth of the artists is held out to measure it.

    Example: throughbeat train embeat-mlp --out mine.safetensors --steps 2000
    """
    from rich.progress import Progress

    from models.contrastive import Training
    from streams.training import fingerprint, train_on

    files, catalogue = read_files(tracks, playlists)
    with Progress(transient=True) as bar:
        task = bar.add_task("training", total=steps)

        def on_step(step: int, loss: float) -> None:
            bar.update(task, completed=step + 1, description=f"training, loss {loss:.3f}")

        training = Training(steps=steps, seed=seed)
        metrics = train_on(catalogue, training, out, fingerprint(*files), on_step, beside or ())
    for name, found in metrics.items():
        typer.echo(f"{name}: {', '.join(f'{key} {value}' for key, value in found.items())}")


def read_files(tracks: Path | None, playlists: Path | None) -> tuple[tuple[Path, Path], Catalogue]:
    """What to train on: the files given, else those of the sample, and what they hold.

    Raises:
        FileUnreadable, ColumnsMissing: what their names say.
    """
    from streams.catalogue import sample_playlists, sample_tracks
    from streams.training import read_catalogue

    files = (tracks or sample_tracks(), playlists or sample_playlists())
    return files, read_catalogue(*files)
