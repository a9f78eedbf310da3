"""What a collection and those that read the catalogue into it are called."""

from __future__ import annotations

from streams.settings import Settings
from streams.vectors import layout_of


def collection_name(settings: Settings, version: str, fill: int) -> str:
    """What a collection and its readers are called, without their kind: they belong together, and to no other fill."""
    return f"{version}{layout_of(settings.declared_vectors)}{f'.{fill}' if fill else ''}"
