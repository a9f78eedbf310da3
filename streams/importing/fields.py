"""Cells of a CSV row by the name of their column; an empty cell means "unknown"."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.importing.rows import Cells

Pick = Callable[[Cells], str | None]


def column(columns: Sequence[str], name: str) -> Pick:
    """Picks a column's cell: `None` where it is empty, or where the file has no such column."""
    if name not in columns:
        return lambda _cells: None
    index = columns.index(name)
    return lambda cells: cells[index] or None


def present(columns: Sequence[str], names: Sequence[str]) -> list[tuple[str, int]]:
    """Those of `names` that the file has, each with the index of its column."""
    return [(name, columns.index(name)) for name in names if name in columns]


def listed(text: str | None) -> list[str] | None:
    """A `;`-separated list; `None` where there is none."""
    return [part for piece in text.split(";") if (part := piece.strip())] if text else None
