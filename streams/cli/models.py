"""`throughbeat models`: which versions there are, which one serves, and which one is to serve."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, console, settings_from

if TYPE_CHECKING:
    from models.registry import StoredVersion
    from streams.serving.commands import Versions
    from streams.settings import Settings
    from topics.records import ModelUpdate

TABLES = "collaborative"

models_app = typer.Typer(no_args_is_help=True, help="List, promote and roll back versions of models.")

ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="embeat-mlp, collaborative, track2vec or bandit; bridge is collaborative."),
]
WithinOption = Annotated[float, typer.Option("--within", metavar="SECONDS", min=1, help="How long to wait for it.")]


@models_app.callback()
def models() -> None:
    """List, promote and roll back versions of models."""


@models_app.command("list")
def list_(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Else all.")] = None,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions that are there, and say which serves; those of the ranking where `bandit` is asked for.

    Example: throughbeat models list
    """
    if model and _is_ranking(model):
        from streams.cli import ranking

        rows = ranking.rows(kafka, prefix, data_dir)
    else:
        rows = [] if model and _is_learned(model) else _stored(kafka, prefix, data_dir, model)
        if not model or _is_learned(model):
            from streams.cli import learned

            rows += learned.rows(settings_from(kafka, prefix, data_dir), _name(model) if model else None)
    if as_json:
        _print_json(rows)
        return
    from rich.table import Table

    table = Table(box=None)
    for name in ("model", "version", "state", "created", "size"):
        table.add_column(name, justify="right" if name == "size" else "left", no_wrap=True)
    for row in rows:
        created, size = row["created_at_ms"], row["size_bytes"]
        told = (_date(created) if created is not None else "", f"{size:,}" if size is not None else "")
        table.add_row(row["model"], row["version"], row["state"], *told)
    console().print(table)


@models_app.command()
def show(
    model: ModelArgument,
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help="Else the one that serves.")] = None,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show what a version was made of and is worth, as JSON; its files are compared with their sums.

    Example: throughbeat models show embeat-mlp
    """
    if _is_learned(model):
        from streams.cli import learned

        _print_json(learned.show(settings_from(kafka, prefix, data_dir), _name(model), version))
        return
    versions = _versions(kafka, prefix, data_dir)
    state = versions.states().get(_name(model))
    found = versions.find(_name(model), version or versions.serving(_name(model)))
    _print_json({**_row(found, state), "files": dict(found.files), **found.told})


@models_app.command()
def promote(
    model: ModelArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="One that is listed, or a file of weights, which is then added.")
    ],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return once answers use it.")] = True,
    within_s: WithinOption = 1800.0,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Let another version serve, once it is ready: the one that serves goes on until then, and is kept.

    Promoting the version that serves ends whatever is being made ready.

    The ranking is called bandit; its versions are `live`, which learns, `prior`, and those kept now and then.

    Example: throughbeat models promote embeat-mlp mine.safetensors
    """
    if _is_ranking(model):
        from streams.cli import ranking

        chosen = ranking.promote(version, kafka, prefix, data_dir)
        _tell_all(settings_from(kafka, prefix, data_dir), _name(model), chosen)
        return
    if _is_learned(model):
        from streams.cli import learned

        settings = settings_from(kafka, prefix, data_dir)
        _tell_all(settings, TABLES, learned.promote(settings, _name(model), version, within_s if wait else 0.0), wait)
        return
    versions = _versions(kafka, prefix, data_dir)
    name = _name(model)
    chosen = versions.add(name, Path(version)) if Path(version).is_file() else versions.find(name, version).version
    _settle(versions, versions.promote(name, chosen), chosen, within_s if wait else 0.0)


@models_app.command()
def rollback(
    model: ModelArgument,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return once answers use it.")] = True,
    within_s: WithinOption = 60.0,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Let the version before serve again, at once; it stays until another is promoted, or made by `models refresh`.

    Example: throughbeat models rollback embeat-mlp
    """
    if _is_ranking(model):
        from streams.cli import ranking

        chosen = ranking.roll_back(kafka, prefix, data_dir)
        _tell_all(settings_from(kafka, prefix, data_dir), _name(model), chosen)
        return
    if _is_learned(model):
        from streams.cli import learned

        settings = settings_from(kafka, prefix, data_dir)
        _tell_all(settings, TABLES, learned.roll_back(settings, _name(model), within_s if wait else 0.0), wait)
        return
    versions = _versions(kafka, prefix, data_dir)
    state = versions.roll_back(_name(model))
    _settle(versions, state, state.version, within_s if wait else 0.0)


@models_app.command()
def refresh(
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Return once answers use it.")] = True,
    within_s: WithinOption = 1800.0,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Bring every model up to date with all that has arrived, and let it serve.

    A running installation does so by itself when tracks or playlists have changed; this is for who will not wait.

    Example: throughbeat models refresh --wait
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from streams.catching_up import catch_up

    settings = settings_from(kafka, prefix, data_dir)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking at the log", total=None)
        version = catch_up(
            settings,
            within_s=within_s,
            wait=wait,
            on_step=lambda doing, done, total: bar.update(task, description=doing, completed=done, total=total),
        )
    _tell(TABLES, version, wait)


@models_app.command()
def prune(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Else all.")] = None,
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=0, help="Versions to keep beside the one that serves.")
    ] = 1,
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Delete versions: those that neither serve nor are to, but for the newest; with --keep 0 also the one before.

    Example: throughbeat models prune --keep 0
    """
    if not model or _is_learned(model):
        from streams.cli import learned

        for name in learned.prune(settings_from(kafka, prefix, data_dir), keep):
            typer.echo(f"deleted {TABLES} {name}")
    if model and _is_learned(model):
        return
    versions = _versions(kafka, prefix, data_dir)
    for one in versions.prune(_name(model) if model else None, keep):
        typer.echo(f"deleted {one.model} {one.version}")


def _is_learned(model: str) -> bool:
    return _name(model) in (TABLES, "bridge", "prior", "track2vec")


def _tell_all(settings: Settings, model: str, version: str, wait: bool = True) -> None:
    """Say what an operator had serve, on `models.updates` and here."""
    from streams.connections import connection_of
    from streams.serving.announcements import tell_served

    tell_served(connection_of(settings), settings.topic_prefix, model, version, by_operator=True)
    _tell(model, version, wait)


def _tell(model: str, version: str, wait: bool) -> None:
    typer.echo(f"{model} {version} {'serves' if wait else 'is being taken up'}")


def _is_ranking(model: str) -> bool:
    return _name(model) == "bandit"


def _stored(kafka: str | None, prefix: str | None, data_dir: Path | None, model: str | None) -> list[dict[str, Any]]:
    versions = _versions(kafka, prefix, data_dir)
    states = versions.states()
    return [_row(one, states.get(one.model)) for one in versions.there(_name(model) if model else None)]


def _versions(kafka: str | None, prefix: str | None, data_dir: Path | None) -> Versions:
    from streams.serving.commands import Versions

    return Versions(settings_from(kafka, prefix, data_dir))


def _settle(versions: Versions, state: ModelUpdate, version: str, within_s: float) -> None:
    """Tell how far it is until the version serves."""
    from rich.console import Console

    deadline = time.monotonic() + within_s
    with Console(stderr=True).status(f"{version} is being made ready") as status:
        while within_s and not versions.serves(state, version, deadline):
            status.update(
                f"{version} is being made ready: {versions.left(state.model):,} records of the catalogue to go"
            )
    typer.echo(f"{state.model} {version} {'serves' if within_s or state.version == version else 'is being made ready'}")


def _row(one: StoredVersion, state: ModelUpdate | None) -> dict[str, Any]:
    return {
        "model": one.model,
        "version": one.version,
        "state": _state(one.version, state),
        "created_at_ms": one.created_at_ms,
        "size_bytes": one.size_bytes,
    }


def _state(version: str, state: ModelUpdate | None) -> str:
    if state is None:
        return "here"
    named = {state.wanted: "being made ready", state.previous: "kept ready", state.version: "serves"}
    return named.get(version, "here")


def _name(model: str) -> str:
    return model.replace("-", "_")


def _date(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _print_json(value: Any) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value)).decode())
