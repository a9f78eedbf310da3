"""What 600 million people would take, worked out from what was measured, as the table of docs/scale.md.

python -m bench.weekly > weekly.json && python -m bench.scale weekly.json

Nothing here is measured: each line is a product or a quotient of measured figures and of what is assumed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Assumed.
PEOPLE = 600_000_000
DAYS = 2
COPIES = 3
REMEMBERED = 12
# How much of a core, or of a machine's memory, is meant to be used.
LOAD = 0.6
REDIS_GB = 64
# Measured by bench.person_bytes and bench.events, docs/benchmarks.md.
PERSON_BYTES = 38_592
EVENTS_PER_S = 15_904
EVENTS_A_DAY = 30
# What `bench.weekly` tells the processor time of.
PARTS = {"worker-index": "answering", "kafka": "Kafka", "redis": "Redis", "weekly": "`throughbeat weekly`"}


def rows_of(weeks: list[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """What it is, how it follows, how much it is.

    Args:
        weeks: as `bench.weekly` tells them: the first without anything to remember, the second with one list.
    """
    first, second = weeks
    cpu = second["cpu_ms_a_list"]
    rate = PEOPLE / (DAYS * 86_400)
    a_week = second["record_bytes"] - first["record_bytes"]
    record = first["record_bytes"] + REMEMBERED * a_week
    events = PEOPLE * EVENTS_A_DAY / 86_400
    return [
        ("lists a second", f"{PEOPLE:,} / {DAYS} days", f"{rate:,.0f}"),
        *(_cores(name, cpu[part], rate) for part, name in PARTS.items() if part in cpu),
        (
            "a record of `playlists.weekly`, bytes",
            f"{first['record_bytes']:,} + {REMEMBERED} x {a_week:,} for each week that it remembers",
            f"{record:,}",
        ),
        (
            "`playlists.weekly`, TB",
            f"{PEOPLE:,} x {record:,} bytes x {COPIES} copies",
            f"{PEOPLE * record * COPIES / 1e12:,.1f}",
        ),
        ("persons in Redis, TB", f"{PEOPLE:,} x {PERSON_BYTES:,} bytes", f"{PEOPLE * PERSON_BYTES / 1e12:,.1f}"),
        (
            f"Redis machines of {REDIS_GB} GB, each with a replica",
            f"2 x the line above / ({REDIS_GB} GB x {LOAD})",
            f"{2 * PEOPLE * PERSON_BYTES / (REDIS_GB * 1e9 * LOAD):,.0f}",
        ),
        ("listening events a second", f"{PEOPLE:,} x {EVENTS_A_DAY} / 86,400 s", f"{events:,.0f}"),
        (
            "listening workers of a core",
            f"the line above / ({EVENTS_PER_S:,} a second x {LOAD})",
            f"{events / (EVENTS_PER_S * LOAD):,.0f}",
        ),
    ]


def _cores(what: str, cpu_ms: float, rate: float) -> tuple[str, str, str]:
    told = f"{cpu_ms:g} ms a list x {rate:,.0f} a second / {LOAD}"
    return f"cores for {what}", told, f"{cpu_ms / 1000 * rate / LOAD:,.0f}"


def main() -> None:
    """Print the table."""
    found = json.loads(Path(sys.argv[1]).read_text())
    print("| what | from | how much |\n| --- | --- | --- |")
    for row in rows_of(found["weeks"]):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
