"""The week's lists of everybody, over the whole catalogue: how many a second, and what one costs each part, as JSON.

python -m bench.weekly [--people 600] [--at-once 16]
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec
import numpy as np
from typer.testing import CliRunner

from bench.harness import DATA, Running, arguments, report, running, scratch, summary
from bench.requests import SEED, listen, tracks_of
from streams.cli import app
from streams.connections import connection_of
from streams.logged import read_records
from streams.up import environment_of
from topics.client import Client
from topics.records import Track
from topics.specs import LISTENING_EVENTS, PLAYLISTS_WEEKLY

FINISHED = 10
# Two weeks: what a second one adds to a record, each of the twelve that are remembered adds.
WEEKS = ("2026-W01", "2026-W02")


def people_of(client: Client, tracks: list[Track], count: int) -> None:
    """People who have each finished ten tracks."""
    rng, run = np.random.default_rng(SEED), uuid.uuid4().hex[:6]
    for number in range(count):
        for at in rng.choice(len(tracks), FINISHED, replace=False):
            client.post(LISTENING_EVENTS, listen(f"{run}-{number}", tracks[at].track_id, "play"))
    client.flush()


def command(here: Running, *arguments: str) -> str:
    """What a command of ours says."""
    done = CliRunner().invoke(app, arguments, env=environment_of(here.settings))
    if done.exit_code:
        raise SystemExit(done.output + done.stdout)
    return done.stdout


def record_bytes(here: Running) -> float:
    """Mean size of the newest records."""
    records = read_records(connection_of(here.settings), here.settings.topic_prefix, PLAYLISTS_WEEKLY)
    newest = {record.key: record.value for record in records if record.key is not None}
    return float(np.mean([len(key) + len(value) for key, value in newest.items() if value is not None]))


def week_made(here: Running, week: str, at_once: int) -> dict[str, Any]:
    """One week's lists, with the processor time of each part for one of them."""
    before, driver_s = here.cpu_s(), time.process_time()
    said = msgspec.json.decode(command(here, "weekly", "--week", week, "--at-once", str(at_once), "--json"))
    spent = {part: (after - before[part]) / said["made"] for part, after in here.cpu_s().items()}
    spent["weekly"] = (time.process_time() - driver_s) / said["made"]
    return {
        "week": week,
        **{name: said[name] for name in ("made", "partial", "empty", "failed", "seconds", "lists_per_s")},
        "cpu_ms_a_list": {part: round(1000 * one, 2) for part, one in spent.items()},
        "record_bytes": round(record_bytes(here)),
    }


def main() -> None:
    """Measure and print."""
    given = arguments(__doc__ or "", people=600, at_once=16)
    with scratch() as data_dir, running(data_dir, str(DATA)) as here, here.client() as client:
        here.wait_until_optimised()
        command(here, "models", "refresh", "--wait")
        people_of(client, tracks_of(DATA / "tracks.csv.gz", 2_000, np.random.default_rng(SEED)), given.people)
        weeks = [week_made(here, week, given.at_once) for week in WEEKS]
        rates = summary([week["lists_per_s"] for week in weeks])
        report("weekly", {"people": given.people, "at_once": given.at_once, "lists_per_s": rates, "weeks": weeks})


if __name__ == "__main__":
    main()
