"""What a ranking would have earned, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.cli.options import console

ESTIMATES = {
    "logged": "as it was served",
    "ips": "inverse propensity",
    "snips": "self-normalized",
    "dr": "doubly robust",
}


def print_value(found: Mapping[str, Any]) -> None:
    """The estimates a line each, and what they rest on."""
    from rich.table import Table

    table = Table(box=None)
    for name in ("estimate", "reward", "from", "to"):
        table.add_column(name, justify="left" if name == "estimate" else "right")
    for name, said in ESTIMATES.items():
        one = found[name]
        table.add_row(said, f"{one['value']:.3f}", f"{one['low']:.3f}", f"{one['high']:.3f}")
    out = console()
    out.print(table)
    out.print(
        f"ranking {found['version']}: {found['explored']} explored tracks of {found['answers']} answers, "
        f"worth {found['effective_size']} of its own; {found['passed_over']} passed over",
        highlight=False,
    )


def print_outcomes(found: Mapping[str, Any]) -> None:
    """Two versions a line each, and the difference."""
    from rich.table import Table

    table = Table(box=None)
    for name in ("ranking", "people", "tracks", "reward", "completed", "skipped early"):
        table.add_column(name, justify="left" if name == "ranking" else "right")
    for version, one in found["versions"].items():
        table.add_row(version, str(one["people"]), str(one["tracks"]), *map(_interval, _measured(one)))
    table.add_row("difference", "", "", *map(_interval, _measured(found["difference"])))
    out = console()
    out.print(table)
    if both := found["people_of_both"]:
        out.print(f"{both} people were served both: the intervals take them for different ones", highlight=False)


def _measured(one: Mapping[str, Any]) -> list[Mapping[str, float]]:
    return [one[measure] for measure in ("reward", "completed", "skipped")]


def _interval(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f}..{one['high']:.3f})"
