"""`throughbeat evaluate`: models held against what people did and put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import JsonOption
from streams.cli.train import ArtistsOption, BesideOption, PlaylistsOption, TracksOption

evaluate_app = typer.Typer(no_args_is_help=True, help="Hold models against what people did and put together.")


@evaluate_app.callback()
def evaluate() -> None:
    """Hold models against what people did and put together."""


@evaluate_app.command()
def drift(
    playlists: PlaylistsOption = None,
    share: Annotated[float, typer.Option(min=0.01, max=0.9, help="Of the playlists, that arrive as a stream.")] = 0.2,
    folds: Annotated[int, typer.Option(min=1, max=5, help="Of five, how many are held out in turn.")] = 5,
    passes: Annotated[int | None, typer.Option(min=1, help="Of the full trainings; else as they usually are.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn, and of the intervals.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure what a Track2Vec loses by growing with the stream instead of being trained on all at once.

    NDCG@500 of continuing playlists that are held out: trained on the first playlists, then after the others arrived
    one after the other, and trained on all at once; and on the tracks known first alone, before and after.

    Example: throughbeat evaluate drift --playlists playlists.csv.gz --json
    """
    import msgspec

    from models.track2vec import Config
    from streams.cli.drift_table import print_drift
    from streams.cli.train import bar_of
    from streams.drift import measure_drift
    from streams.playlists import read_playlists
    from streams.training import fingerprint

    path, changes = read_playlists(playlists)
    lists = [tuple(dict.fromkeys(one.track_ids or ())) for one in changes]
    config = Config(passes=passes) if passes else Config()
    with bar_of("drift") as on_step:
        measured = measure_drift(lists, config, share=share, folds=folds, seed=seed, on_step=on_step)
    found = {"data": fingerprint(path), **measured}
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        print_drift(found)


@evaluate_app.command()
def embeddings(
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Weights; else those that ship with the project.")
    ] = None,
    beside: BesideOption = None,
    tracks: TracksOption = None,
    playlists: PlaylistsOption = None,
    artists: ArtistsOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the queries and of the intervals.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure an embedding beside others and the raw features, on artists that it was not trained on.

    Of the 10 nearest tracks, the share on the same album, of the same artist, and with a genre in common, further
    releases of the query left out; and of the new artists' tracks in a playlist, how many are among the 50 nearest to
    its other tracks (recall and NDCG). --beside takes the published weights, or any other version.

    Example: throughbeat evaluate embeddings --beside embeat_mlp_published.pt --tracks tracks.csv.gz --json
    """
    import msgspec

    from models.embeat_mlp import load_checkpoint
    from streams.cli.embedding_table import print_comparison
    from streams.cli.train import read_files
    from streams.embedding_quality import compare
    from streams.training import fingerprint

    models = [load_checkpoint(path) for path in (checkpoint, *(beside or ()))]
    files, catalogue = read_files(tracks, playlists, artists)
    found = {"data": fingerprint(*files), "seed": seed, **compare(catalogue, models, seed=seed)}
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        print_comparison(found)
