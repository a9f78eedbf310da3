"""`throughbeat topics`: the contract's topics on a broker."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from streams.cli.options import DataDirOption, JsonOption, KafkaOption, PrefixOption, console, settings_from
from streams.connections import connection_of
from topics.admin import Creation, TopicState, create_topics, list_topics
from topics.specs import DAY_MS, HOUR_MS

topics_app = typer.Typer(no_args_is_help=True, help="Create and list the topics of the contract.")


@topics_app.command()
def create(
    kafka: KafkaOption = None,
    prefix: PrefixOption = None,
    data_dir: DataDirOption = None,
    partitions: Annotated[
        int | None, typer.Option(min=0, help="Of each topic that has several; 0 = the contract's own numbers.")
    ] = None,
    replication: Annotated[int | None, typer.Option(min=1, help="Copies of each partition.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Create what is missing; what is there is left as it is, and told where it differs from the contract.

    Example: throughbeat topics create --kafka broker-1:9092 --prefix acme --replication 3
    """
    settings = settings_from(kafka, prefix, data_dir)
    done = create_topics(
        connection_of(settings),
        settings.topic_prefix,
        settings.partitions if partitions is None else partitions,
        settings.replication if replication is None else replication,
    )
    typer.echo(msgspec.json.encode(done).decode() if as_json else _told(done))


@topics_app.command("list")
def list_(
    kafka: KafkaOption = None, prefix: PrefixOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Show each topic with its partitions, settings and records.

    Example: throughbeat topics list --json | jq '.[] | select(.records > 0) | .name'
    """
    settings = settings_from(kafka, prefix, data_dir)
    found = list_topics(connection_of(settings), settings.topic_prefix)
    if as_json:
        typer.echo(msgspec.json.encode([_as_json(state) for state in found]).decode())
    else:
        _show(found)


def _told(done: Creation) -> str:
    lines = [f"created {len(done.created)}, already there {len(done.existing)}"]
    return "\n".join(lines + [f"differs: {mismatch}" for mismatch in done.mismatched])


def _as_json(state: TopicState) -> dict[str, object]:
    return {
        "name": state.name,
        "exists": state.partitions > 0,
        "key": state.spec.key,
        "partitions": state.partitions,
        "replication": state.replication,
        "records": state.records,
        "end_offsets": {str(partition): end for partition, end in sorted(state.ends.items())},
        "config": dict(state.config),
    }


def _show(found: list[TopicState]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("topic", no_wrap=True)
    for name in ("partitions", "copies", "records"):
        table.add_column(name, justify="right")
    table.add_column("kept")
    for state in found:
        if state.partitions:
            table.add_row(state.name, f"{state.partitions}", f"{state.replication}", f"{state.records:,}", _kept(state))
        else:
            table.add_row(state.name, "-", "-", "-", "missing", style="yellow")
    console().print(table)
    if not all(state.partitions for state in found):
        console().print("make those that are missing with: throughbeat topics create", style="yellow")


def _kept(state: TopicState) -> str:
    if state.config["cleanup.policy"] == "compact":
        return "latest a key"
    ms = int(state.config["retention.ms"])
    if ms < 0:
        return "for ever"
    return f"{ms / DAY_MS:g} days" if ms >= DAY_MS else f"{ms / HOUR_MS:g} h"
