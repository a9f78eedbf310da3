"""How far the events of each partition have counted, so that a caller can read their own skip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streams.state.connection import Command
from streams.state.keys import applied_key


def watermark_commands(prefix: str, partitions: int) -> list[Command]:
    """What to ask for the watermark; ask it before what it vouches for."""
    return [(b"HGET", applied_key(prefix, partition), b"through") for partition in range(partitions)]


def decode_watermark(replies: Sequence[Any]) -> dict[int, int]:
    """Partition -> last offset that has counted; without the partitions that have none."""
    return {partition: int(offset) for partition, offset in enumerate(replies) if offset is not None}
