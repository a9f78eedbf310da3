"""Policies beside each other on simulated listeners, each on an installation of its own, with the same seeds.

python -m bench.simulator [--policies "full,no session,popularity"] [--listeners 30] [--sessions 24]

A policy is one of `bench.simulator.policies`, or `NAME:SETTING=VALUE;...` with any settings of the product. The
listeners talk to the system by Kafka alone: they publish what they hear and ask for lists. Figures are JSON; the first
policy is compared with each other, with paired intervals over listeners.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.harness import DATA, report, running, scratch
from bench.simulator import listener
from bench.simulator.life import Listener, Plan, Streak, live
from bench.simulator.measures import Lives, compare, share_left
from bench.simulator.policies import POLICIES, Policy, policy_of
from bench.simulator.world import World, world_of
from models.tables import MODEL as COLLABORATIVE
from streams.catalogue import sample_playlists, sample_tracks
from streams.labelled import read_catalogue
from streams.settings import variable
from topics.client import Client
from topics.records import RecommendationRequest

LEARNED_WITHIN_S, POLL_S = 600.0, 0.5
MODEL = ("STEEP", "NEED", "ELSEWHERE", "CONTEXT", "AGAIN", "POSITION", "RECENT", "FADE", "LIKES", "TRACKS_OF_POCKET")


def main() -> None:
    options = _options()
    plan = Plan(
        options.listeners, options.sessions, options.lists, options.length, options.sessions * 2 // 3, options.seed
    )
    world = world_of(read_catalogue(*_files(options.catalogue)), options.seed)
    policies = dict(map(policy_of, options.policies.split(",")))
    with scratch() as place:
        filled = _filled(place, options.catalogue, len(world))
        lived = {name: _lived(world, plan, policy, name, filled) for name, policy in policies.items()}
    model = {name: getattr(listener, name) for name in MODEL}
    told = {"plan": asdict(plan), "model": model, "tracks": len(world)}
    lives = {name: lists for name, (lists, _) in lived.items()}
    streaks = {name: share_left(some, options.seed) for name, (_, some) in lived.items()}
    report("simulator", {**told, **compare(lives, plan, len(world), options.seed), "skip streak": streaks})


def _filled(place: Path, catalogue: str, tracks: int) -> Path:
    """The data directory of an installation that holds the catalogue and what its playlists teach."""
    filled, filling = place / "filled", place / "filling"
    if not filled.exists():
        shutil.rmtree(filling, ignore_errors=True)
        with running(filling, catalogue) as stack, stack.client() as client:
            _wait_until_learned(client)
            if tracks > stack.settings.optimise_above:
                stack.wait_until_optimised()
        filling.rename(filled)
    return filled


def _lived(world: World, plan: Plan, policy: Policy, name: str, filled: Path) -> tuple[Lives, list[Streak]]:
    """All listeners' lives, and what a streak of skips then does, at a copy of the filled installation."""
    began, data_dir = time.perf_counter(), filled.with_name("lived")

    def on_session(session: int) -> None:
        print(f"{name}: session {session + 1}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)

    shutil.rmtree(data_dir, ignore_errors=True)
    shutil.copytree(filled, data_dir)
    try:
        with _environment(policy.settings), running(data_dir) as stack, stack.client() as client:
            listeners = [Listener(world, plan, number, client, policy) for number in range(plan.listeners)]
            lists = live(listeners, plan.sessions, on_session)
            streaks = [listener.streak(plan.sessions) for listener in listeners]
            return lists, [one for one in streaks if one is not None]
    finally:
        shutil.rmtree(data_dir)


def _wait_until_learned(client: Client) -> None:
    """What is learned from the catalogue's playlists serves, so that every policy starts from the same."""
    deadline = time.monotonic() + LEARNED_WITHIN_S
    while time.monotonic() < deadline:
        reply = client.ask(RecommendationRequest(request_id=uuid.uuid4().hex, limit=1), timeout_s=LEARNED_WITHIN_S)
        if reply.models.get(COLLABORATIVE):
            return
        time.sleep(POLL_S)
    raise SystemExit(f"the collaborative tables were not learned within {LEARNED_WITHIN_S:g} s")


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """The settings of a policy for what is started within the block."""
    before = dict(os.environ)
    os.environ.update({variable(name): value for name, value in settings.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _files(catalogue: str) -> tuple[Path, Path]:
    if catalogue == "sample":
        return sample_tracks(), sample_playlists()
    return Path(catalogue) / "tracks.csv.gz", Path(catalogue) / "playlists.csv.gz"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--catalogue", default="sample", help=f"sample, or a directory such as {DATA}")
    for name, value in {"listeners": 30, "sessions": 24, "lists": 2, "length": 10, "seed": 7}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


if __name__ == "__main__":
    main()
