"""What growing with the stream costs, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table

from streams.cli.options import console


def print_drift(found: Mapping[str, Any]) -> None:
    """NDCG@500 of each way to learn, and the differences that matter with their intervals."""
    table = Table("NDCG@500", *found["measures"], box=None, header_style="bold", pad_edge=False)
    measures = list(found["measures"].values())
    rows: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "trained on the first playlists": lambda one: f"{one['ndcg']['before']:.4f}",
        "then grown with the others": lambda one: f"{one['ndcg']['grown']:.4f}",
        "trained on all at once": lambda one: f"{one['ndcg']['full']:.4f}",
        "grown over trained on all": lambda one: f"{one['grown over full']:.3f}",
        "grown less trained on all": lambda one: _difference(one, "grown less full"),
        "on tracks known first, after less before": lambda one: _difference(one, "known after less before"),
    }
    for name, cell in rows.items():
        table.add_row(name, *(cell(one) for one in measures))
    console().print(table)
    console().print(
        f"Playlists: {measures[0]['playlists']}. In brackets: 95 % intervals, paired. Drift of the vectors known first "
        f"(1 less the cosine): {found['drift']:.4f}. Cost: {found['ms_per_list']} ms a playlist, all passes over it."
    )


def _difference(measure: Mapping[str, Any], name: str) -> str:
    one = measure["differences"][name]
    low, high = one["interval"]
    return f"{one['value']:+.4f} [{low:+.4f}, {high:+.4f}]"
