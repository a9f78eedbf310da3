"""`throughbeat evaluate`: models held against what people did and put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, settings_from
from streams.cli.train import ArtistsOption, BesideOption, PlaylistsOption, TracksOption

if TYPE_CHECKING:
    from models.embeat_mlp import EmbeatMLP
    from streams.columns import Columns
    from streams.continuation import Known
    from streams.labelled import Catalogue
    from streams.recall_quality import Proposer

LogOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Records of answers and reactions, one JSON value a line; else Kafka's."),
]
ConfidenceOption = Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")]

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


SeedOption = Annotated[int, typer.Option(min=0, help="Of the folds, of what is learned, and of the intervals.")]


@evaluate_app.command()
def continuation(
    beside: BesideOption = None,
    tracks: TracksOption = None,
    playlists: PlaylistsOption = None,
    artists: ArtistsOption = None,
    seed: SeedOption = 7,
    kafka: Annotated[
        bool, typer.Option("--through-kafka", help="Also ask the running pipeline: a stack of its own, for minutes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how well playlists are continued, beside simpler ways, on playlists that were not learned from.

    In five folds, the first five tracks or the first half of each playlist of ten or more are given, and lists of 500
    are held against the rest: NDCG, R-precision, clicks until the first hit, recall of the first hundred. Candidates
    are the catalogue and the tracks of the playlists learned from. --beside adds the centroids of other embeddings.
    --through-kafka publishes the playlists learned from to an installation of its own, in each fold, and asks it with
    what is given.

    Example: throughbeat evaluate continuation --tracks tracks.csv.gz --playlists playlists.csv.gz --json
    """
    from streams.baselines import als, embedding, item_knn, popularity, raw_features
    from streams.cli.quality_table import print_continuation
    from streams.continuation import compare
    from streams.live import through_kafka
    from streams.ways import fusion, ranked

    given = _read(tracks, playlists, artists, beside)
    ways = {
        "ranked": ranked(given.columns, seed),
        "fusion": fusion(given.columns),
        "implicit ALS": als(seed),
        "item-kNN (BM25)": item_knn,
        "popularity": popularity,
        **{model.version: embedding(model, given.catalogue) for model in given.models},
        "raw features": raw_features(given.catalogue),
    }
    with ExitStack() as opened:
        live = {"pipeline": opened.enter_context(through_kafka(given.files[0], artists))} if kafka else {}
        _tell(
            given.files,
            partial(compare, given.catalogue, {**live, **ways}, seed=seed),
            seed,
            as_json,
            print_continuation,
            given.models,
        )


@evaluate_app.command("cold-start")
def cold_start(
    beside: BesideOption = None,
    tracks: TracksOption = None,
    playlists: PlaylistsOption = None,
    artists: ArtistsOption = None,
    seed: SeedOption = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure how well new releases find the playlists that hold them, beside simpler ways.

    A fifth of the tracks, whole albums, are as good as unreleased: no way meets them in a playlist. From the rest of a
    playlist, those of them that belong there are to be found: recall and NDCG of the first 50. Further releases of a
    recording that is known are left out.

    Example: throughbeat evaluate cold-start --tracks tracks.csv.gz --playlists playlists.csv.gz --json
    """
    from streams.baselines import artist_known, embedding, genres_shared, raw_features
    from streams.cli.quality_table import print_cold_start
    from streams.cold_start import compare
    from streams.ways import new_by_fusion, new_by_prior

    given = _read(tracks, playlists, artists, beside)
    ways = {
        "ranked": new_by_prior(given.columns, seed),
        "fusion": new_by_fusion(given.columns),
        "artist known": artist_known(given.catalogue),
        "genres shared": genres_shared(given.columns),
        **{model.version: embedding(model, given.catalogue) for model in given.models},
        "raw features": raw_features(given.catalogue),
    }
    measure = partial(compare, given.catalogue, ways, seed=seed)
    _tell(given.files, measure, seed, as_json, print_cold_start, given.models)


@evaluate_app.command()
def recall(
    seeds: Annotated[str, typer.Option(metavar="5|half", help="What of a playlist is given.")] = "5",
    tracks: TracksOption = None,
    playlists: PlaylistsOption = None,
    artists: ArtistsOption = None,
    folds: Annotated[int, typer.Option(min=1, max=5, help="Of five, how many are held out in turn.")] = 5,
    seed: SeedOption = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure what the running pipeline finds of playlists that it was not told of, in all and by channel.

    The other playlists are published to an installation of its own, in each fold, which takes minutes, and it is asked
    over Kafka with the first five tracks or the first half of each that is held out: NDCG@500, R-precision, clicks,
    recall of the first 100 and of all 500, how many different artists there are, what share of the catalogue comes at
    all; and of each channel what it found, and what it alone found. Beside it popularity, item-kNN and implicit ALS,
    trained on the same playlists.

    Example: throughbeat evaluate recall --playlists playlists.csv.gz --tracks tracks.csv.gz --seeds half
    """
    from streams.baselines import als, item_knn, popularity
    from streams.cli.quality_table import print_recall
    from streams.cli.train import read_files
    from streams.live import answering
    from streams.recall_quality import compare, told_by

    given_by = {"5": "first 5", "half": "half"}
    if seeds not in given_by:
        raise typer.BadParameter(f"expected {' or '.join(given_by)}, got {seeds!r}", param_hint="--seeds")
    files, catalogue = read_files(tracks, playlists, artists)
    ways = {"implicit ALS": als(seed), "item-kNN (BM25)": item_knn, "popularity": popularity}
    with answering(files[0], artists) as learned:

        def pipeline(known: Known) -> Proposer:
            answers = learned(known)
            return lambda held: told_by(answers(held))

        measure = partial(compare, catalogue, pipeline, ways, given_by[seeds], seed=seed, folds=folds)
        _tell(files, measure, seed, as_json, print_recall)


@evaluate_app.command()
def skips(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Sessions, as .csv or .csv.gz.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Measure how well skips are predicted, on a file in the columns of Spotify's skip prediction challenge.

    Of each session the first half is known, and skip_2 is predicted for the second: mean average accuracy and first
    prediction accuracy, as the challenge defines them, beside repeating what was done last. The predictor learns from
    each session after it was asked about it.

    Example: throughbeat evaluate skips log_mini.csv --json
    """
    import msgspec
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from streams.cli.quality_table import print_skips
    from streams.skip_challenge import evaluate_skips
    from streams.training import fingerprint

    shown = (TextColumn("{task.completed:,.0f} sessions"), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sessions", total=None)
        measured = evaluate_skips(file, seed=seed, on_session=lambda count: bar.update(task, completed=count))
    found = {"data": fingerprint(file), "seed": seed, **measured}
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        print_skips(found)


@evaluate_app.command()
def policy(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="`live`, `prior`, or one that is kept.")] = "live",
    log: LogOption = None,
    confidence: ConfidenceOption = 0.95,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate what a version of the ranking would have earned where the log explored.

    At each explored position the version would have put the track of the pool that it expects most of. The mean reward
    of such a position, by inverse propensity scores (ips), self-normalized (snips) and doubly robust (dr), each with an
    interval, beside what was really earned (logged).

    Example: throughbeat evaluate policy prior --json
    """
    import asyncio

    import msgspec

    from streams.cli.policy_table import print_value
    from streams.policy_value import value_of
    from streams.ranking import posterior_named
    from streams.served_log import logged_answers

    settings = settings_from(kafka, prefix, data_dir)
    posterior = asyncio.run(posterior_named(settings, version))
    answers = logged_answers(settings, log)
    found = {"version": version, **value_of(posterior, answers, confidence)}
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        print_value(found)


@evaluate_app.command()
def ab(
    first: Annotated[str | None, typer.Argument(metavar="VERSION", help="As answers name it; else of most.")] = None,
    second: Annotated[str | None, typer.Argument(metavar="OTHER", help="The version that it is compared with.")] = None,
    log: LogOption = None,
    confidence: ConfidenceOption = 0.95,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what two versions of the ranking earned with the people whom each served.

    THROUGHBEAT_RANKING_B gives a share of the people another version. A row a version: mean reward, share completed
    and share skipped before 30 s of a shown track, with intervals over people, and the difference.

    Example: throughbeat evaluate ab --json
    """
    import msgspec

    from streams.cli.policy_table import print_outcomes
    from streams.ranking_outcomes import outcomes
    from streams.served_log import logged_answers

    if first and not second:
        raise typer.BadParameter("name two versions, or none for those of most answers")
    settings = settings_from(kafka, prefix, data_dir)
    answers = logged_answers(settings, log)
    found = outcomes(answers, (first, second) if first and second else None, confidence)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        print_outcomes(found)


class _Given(NamedTuple):
    files: list[Path]
    catalogue: Catalogue
    columns: Columns
    models: list[EmbeatMLP]


def _read(tracks: Path | None, playlists: Path | None, artists: Path | None, beside: list[Path] | None) -> _Given:
    """What to measure on, and the embeddings to measure: the one that ships, and those beside it."""
    from models.embeat_mlp import load_checkpoint
    from streams.cli.train import read_files
    from streams.columns import Columns

    models = [load_checkpoint(path) for path in (None, *(beside or ()))]
    files, catalogue = read_files(tracks, playlists, artists)
    return _Given(files, catalogue, Columns.of_catalogue(catalogue, models[0]), models)


def _tell(
    files: list[Path],
    compare: Callable[..., dict[str, Any]],
    seed: int,
    as_json: bool,
    table: Callable[[Mapping[str, Any]], None],
    models: Sequence[EmbeatMLP] = (),
) -> None:
    """Measure while progress is shown, then print; with which of the embeddings may know the playlists asked about."""
    import msgspec
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from streams.training import fingerprint

    shown = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("measuring")

        def on_step(done: int, total: int, doing: str) -> None:
            bar.update(task, completed=done, total=total, description=doing)

        met = [model.version for model in models if model.learned_playlists]
        found = {"data": fingerprint(*files), "seed": seed, "learned_playlists": met, **compare(on_step=on_step)}
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        table(found)
