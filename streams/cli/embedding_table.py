"""Figures of embeddings as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from streams.cli.options import console


def print_comparison(found: Mapping[str, Any]) -> None:
    """Each model's figures with their 95 % intervals; below, how much the first is better than each other."""
    from rich.table import Table

    measures = list(found["questions"])
    if not measures:
        typer.echo("nothing to measure: the catalogue holds too little of the artists that are held out")
        return
    table = Table("model", *measures, box=None, header_style="bold", pad_edge=False)
    for name, figures in found["models"].items():
        note = "" if found["unseen"].get(name, True) else " *"
        table.add_row(name + note, *(_cell(figures[one]) for one in measures))
    first = next(iter(found["models"]))
    table.add_section()
    for name, figures in found["differences"].items():
        table.add_row(f"{first} less {name}", *(_cell(figures[one], signed=True) for one in measures))
    console().print(table)
    sizes = ", ".join(f"{name} {one['n']:,} among {one['candidates']:,}" for name, one in found["questions"].items())
    typer.echo(f"questions: {sizes}. In brackets: 95 % intervals, paired where two models are compared.")
    if not all(found["unseen"].values()):
        typer.echo("*: what it was trained on is not known; it may have seen these artists.")


def _cell(figure: Mapping[str, Any], *, signed: bool = False) -> str:
    low, high = figure["interval"]
    return (
        f"{figure['value']:+.3f} [{low:+.3f}, {high:+.3f}]"
        if signed
        else f"{figure['value']:.3f} [{low:.3f}, {high:.3f}]"
    )
