"""`throughbeat train`: new versions of the models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

train_app = typer.Typer(no_args_is_help=True, help="Train a model from a catalogue.")


@train_app.callback()
def train() -> None:
    """Train a model from a catalogue."""


@train_app.command("embeat-mlp")
def embeat_mlp(
    out: Annotated[Path, typer.Option(help="Weights, as safetensors; the manifest is written beside them.")],
    tracks: Annotated[Path | None, typer.Option(help="Tracks as `import tracks` reads them; else the sample.")] = None,
    playlists: Annotated[Path | None, typer.Option(help="Playlists as `import playlists` reads them.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of 1,024 pairs each.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed and files give the same weights on one machine.")] = 7,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Other weights to measure on the same held-out artists.")
    ] = None,
) -> None:
    """Train the embedding on pairs of one album, artist or playlist; a tenth of the artists is held out to measure it.

    Example: throughbeat train embeat-mlp --out mine.safetensors --steps 2000
    """
    from rich.progress import Progress

    from models.contrastive import Training
    from streams.catalogue import sample_playlists, sample_tracks
    from streams.training import fingerprint, read_catalogue, train_on

    files = (tracks or sample_tracks(), playlists or sample_playlists())
    catalogue = read_catalogue(*files)
    training = Training(steps=steps, seed=seed)
    with Progress(transient=True) as bar:
        task = bar.add_task("training", total=steps)

        def on_step(step: int, loss: float) -> None:
            bar.update(task, completed=step + 1, description=f"training, loss {loss:.3f}")

        metrics = train_on(catalogue, training, out, fingerprint(*files), on_step, beside or ())
    for name, found in metrics.items():
        typer.echo(f"{name}: {', '.join(f'{key} {value}' for key, value in found.items())}")
