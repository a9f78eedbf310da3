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
