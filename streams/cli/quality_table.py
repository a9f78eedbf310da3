"""Figures of ways to continue a playlist, and to find new releases, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from streams.cli.options import console


def print_continuation(found: Mapping[str, Any]) -> None:
    """A table for each way of giving the beginning of a playlist."""
    for given, figures in found["given"].items():
        print_ways(figures, f"{given} given")
    typer.echo(
        f"{found['cases']:,} playlists in {found['folds']} folds, {found['candidates']:,} tracks to choose among"
    )
    _tell_of_embeddings(found)
    _explain()


def print_cold_start(found: Mapping[str, Any]) -> None:
    """One table."""
    print_ways(found, "new releases")
    typer.echo(f"{found['cases']:,} playlists, {found['candidates']:,} new tracks to choose among")
    _tell_of_embeddings(found)
    _explain()


def print_skips(found: Mapping[str, Any]) -> None:
    """One table, and what was not measured."""
    print_ways(found, "skips")
    typer.echo(f"{found['predictions']:,} predictions in {found['sessions']:,} sessions")
    for why, rows in found["left_out"].items():
        typer.echo(f"left out: {rows:,} rows ({why})")
    typer.echo("In brackets: 95 % intervals by session, paired where two are compared.")


def print_recall(found: Mapping[str, Any]) -> None:
    """The ways, the channels, and what comes at all."""
    from rich.table import Table

    print_ways(found, f"{found['given']} given")
    table = Table("channel", "recall", "of it alone", box=None, header_style="bold", pad_edge=False)
    for name, one in sorted(found["channels"].items(), key=lambda pair: -pair[1]["recall"]["value"]):
        told = (f"{one[part]['value']:.3f} {_between(one[part], '.3f')}" for part in ("recall", "alone"))
        table.add_row(name, *told)
    console().print(table)
    reached = ", ".join(f"{share:.1%} by {name}" for name, share in found["reached"].items())
    typer.echo(f"share of the catalogue that comes in some list: {reached}")
    typer.echo(f"{found['cases']:,} playlists, {found['candidates']:,} tracks to choose among")
    _explain()


def print_ways(found: Mapping[str, Any], title: str) -> None:
    """Each way's figures, and below how far the first is from each other."""
    from rich.table import Table

    ways, differences = found["ways"], found["differences"]
    first = next(iter(ways))
    table = Table(title, *ways[first], box=None, header_style="bold", pad_edge=False)
    for name, figures in ways.items():
        table.add_row(name, *(f"{one['value']:.3f} {_between(one, '.3f')}" for one in figures.values()))
    table.add_section()
    for name, figures in differences.items():
        table.add_row(
            f"{first} less {name}", *(f"{one['value']:+.3f} {_between(one, '+.3f')}" for one in figures.values())
        )
    console().print(table)


def _tell_of_embeddings(found: Mapping[str, Any]) -> None:
    if versions := ", ".join(found["learned_playlists"]):
        typer.echo(f"{versions}: learned from playlists, perhaps these; our other ways hear by raw features")


def _between(figure: Mapping[str, Any], form: str) -> str:
    low, high = figure["interval"]
    return f"[{low:{form}}, {high:{form}}]"


def _explain() -> None:
    typer.echo("In brackets: 95 % intervals by playlist, paired where two are compared. Of clicks, fewer are better.")
