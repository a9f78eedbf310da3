"""Versions of the embedding on the real stack: promoted, rolled back and pruned while requests are answered."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.embeat_mlp import EmbeatMLP, load_checkpoint
from models.features import Sound
from models.registry import Registry
from streams.connections import connection_of
from streams.embedded.stack import RunningStack
from streams.serving.announcements import announce, read_updates
from streams.serving.versions import promoted
from tests.integration import forked
from tests.integration.installation import Installation, eventually, features, track
from tests.integration.qdrant_stand_in import qdrant_stand_in
from topics.records import ModelUpdate, RecommendationReply, Seed, Track
from topics.specs import CATALOG_TRACKS

MODEL = "embeat_mlp"


def catalogue(count: int) -> list[Track]:
    """Tracks of one artist each, all of them unlike the others."""
    rng = np.random.default_rng(4)
    return [
        track(
            f"t{number}",
            f"artist{number}",
            features=features(**{name: float(rng.random()) for name in ("energy", "valence", "acousticness", "tempo")}),
            duration_ms=int(rng.integers(100_000, 300_000)),
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that nobody trained: they put every track elsewhere."""
    import torch

    from models.embeat_mlp import Config
    from models.network import Network, save_checkpoint

    torch.manual_seed(11)
    network = Network(Config(backbone_width=64))
    path = tmp_path_factory.mktemp("weights") / "embeat_mlp_other.safetensors"
    save_checkpoint(network.eval(), path, {"metrics": {"album@10": 0.5}, "data": {"a.csv": "1234"}})
    return path


def command(here: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.command(here.settings, "models", *arguments)


def state(here: Installation) -> ModelUpdate:
    return read_updates(connection_of(here.settings), here.settings.topic_prefix)[0][MODEL]


def listed(here: Installation) -> dict[str, str]:
    done = command(here, "list", "--json")
    assert done.returncode == 0, done.stderr
    return {one["version"]: one["state"] for one in json.loads(done.stdout)}


def nearest(model: EmbeatMLP, tracks: Sequence[Track], seed: str, count: int) -> list[str]:
    """By plain arithmetic: the tracks whose vectors are the most like the seed's."""
    vectors = model.embed([Sound(one.features, one.duration_ms) for one in tracks])
    names = [one.track_id for one in tracks]
    scores = vectors @ vectors[names.index(seed)]
    return [names[at] for at in np.argsort(-scores) if names[at] != seed][:count]


def by_sound(reply: RecommendationReply, count: int) -> list[str]:
    """The first that the acoustic channel found."""
    ranks = {item.channels["acoustic"]: item.track_id for item in reply.items if "acoustic" in item.channels}
    return [ranks[rank] for rank in sorted(ranks)][:count]


@contextmanager
def asking(here: Installation) -> Iterator[list[RecommendationReply]]:
    """Ask from one seed all along, on a thread; every reply in the order they came."""
    replies: list[RecommendationReply] = []
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.is_set():
            replies.append(here.ask(seeds=(Seed(track_id="t0"),), limit=20, after=None))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield replies
        asked = len(replies)
        eventually(lambda: len(replies) > asked + 3)
    finally:
        stopping.set()
        thread.join()


@pytest.fixture(params=["in the worker", "on a server"])
def here(request: pytest.FixtureRequest, stack: RunningStack, prefix: str, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose index is in one worker, or on a server that two workers share by role."""
    with ExitStack() as opened:
        more: dict[str, Any] = {}
        if request.param == "on a server":
            more["qdrant_url"] = opened.enter_context(qdrant_stand_in())
        installation = Installation(stack, prefix, tmp_path, **more)
        opened.enter_context(installation.client)
        for roles in ("catalogue", "recommendations") if more else ("catalogue,recommendations",):
            opened.enter_context(installation.worker(roles))
        yield installation


def test_version_is_promoted_and_rolled_back_while_every_request_is_answered(here: Installation, other: Path) -> None:
    tracks = catalogue(200)
    here.client.publish_many(CATALOG_TRACKS, tracks)
    here.client.post_bytes(CATALOG_TRACKS, b"bad", b"{}").result()
    here.settled(CATALOG_TRACKS)
    assert len(here.dead(CATALOG_TRACKS)) == 1
    old = state(here).version
    here.ask(seeds=(Seed(track_id="t0"),))
    with asking(here) as replies:
        done = command(here, "promote", "embeat-mlp", str(other))
        assert done.returncode == 0, done.stderr
        new = state(here).version
        assert new.startswith("other-")
        assert done.stdout == f"embeat_mlp {new} serves\n"
        here.client.publish(CATALOG_TRACKS, track("later", "artist-later"))
        here.settled(CATALOG_TRACKS)
        between = len(replies)
        done = command(here, "rollback", "embeat-mlp")
        assert (done.returncode, done.stdout) == (0, f"embeat_mlp {old} serves\n"), done.stderr
    # The stand-in for a server takes one call at a time: a channel may be late there.
    assert {reply.status for reply in replies} <= ({"ok", "partial"} if here.settings.qdrant_url else {"ok"})
    versions = [reply.models[MODEL] for reply in replies]
    turns = [version for at, version in enumerate(versions) if at == 0 or versions[at - 1] != version]
    assert turns == [old, new, old]
    models = {
        old: load_checkpoint(Registry(here.settings.models_path).find(MODEL, old).weights),
        new: load_checkpoint(other),
    }
    expected = {version: nearest(model, tracks, "t0", 5) for version, model in models.items()}
    assert expected[old] != expected[new]
    for reply in (one for one in replies[:between] if "acoustic" not in one.degraded):
        assert by_sound(reply, 5) == expected[str(reply.models[MODEL])]
    # What came after the switch is in the version before, too.
    assert here.ask(seeds=(Seed(track_id="later"),)).models[MODEL] == old
    assert listed(here) == {old: "serves", new: "kept ready"}
    # What could not be applied was set aside once, whoever has read it since.
    assert len(here.dead(CATALOG_TRACKS)) == 1
    here.client.post_bytes(CATALOG_TRACKS, b"worse", b"{}").result()
    eventually(lambda: len(here.dead(CATALOG_TRACKS)) >= 2)


def test_catalogue_that_changes_while_a_version_is_filled_is_the_same_in_both(here: Installation, other: Path) -> None:
    here.client.publish_many(CATALOG_TRACKS, catalogue(300))
    here.settled(CATALOG_TRACKS)
    stopping = threading.Event()

    def change() -> None:
        # All that there is fits into one answer.
        for number in range(150):
            if stopping.wait(0.03):
                return
            here.client.publish(CATALOG_TRACKS, track(f"new{number}", f"artist-new{number}"))
            here.client.withdraw(CATALOG_TRACKS, f"t{1 + number}")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        done = command(here, "promote", "embeat-mlp", str(other))
    finally:
        stopping.set()
        thread.join()
    assert done.returncode == 0, done.stderr
    last = track("last", "artist-last")
    here.client.publish(CATALOG_TRACKS, last)

    def found() -> set[str]:
        return {item.track_id for item in here.ask(limit=500, max_per_artist=500).items}

    eventually(lambda: "last" in found())
    here.settled(CATALOG_TRACKS)
    after = found()
    assert command(here, "rollback", "embeat-mlp").returncode == 0
    eventually(lambda: found() == after)
    assert {"t0", "new0"} < after
    assert "t1" not in after


def test_promotion_that_a_kill_interrupts_goes_on_and_a_taken_back_one_leaves_nothing(
    stack: RunningStack, prefix: str, tmp_path: Path, other: Path
) -> None:
    here = Installation(stack, prefix, tmp_path)
    roles = "catalogue,recommendations"
    with here.client:
        with here.worker(roles) as worker:
            here.client.publish_many(CATALOG_TRACKS, catalogue(4_000))
            here.settled(CATALOG_TRACKS)
            old = state(here).version
            assert command(here, "promote", "embeat-mlp", str(other), "--no-wait").returncode == 0
            eventually(lambda: len(homes(here)) == 2)
            worker.send_signal(signal.SIGKILL)
            worker.wait(90)
        with here.worker(roles):
            assert here.ask(limit=1).status == "ok"
            new = state(here).wanted or state(here).version
            eventually(lambda: here.ask(limit=1).models[MODEL] == new != old)
            assert len(here.ask(limit=500, max_per_artist=500).items) == 500
            assert command(here, "prune", "--keep", "0").returncode == 0
            eventually(lambda: len(homes(here)) == 1)
            # The version that the installation brings is never deleted.
            assert listed(here) == {new: "serves", old: "here"}
            for version in (old, new):
                assert command(here, "promote", "embeat-mlp", version, "--no-wait").returncode == 0
            eventually(lambda: len(homes(here)) == 1)
            assert here.ask(limit=1).models[MODEL] == new
            done = command(here, "rollback", "embeat-mlp")
            assert (done.returncode, done.stdout) == (1, "")
            assert "expected a version of embeat_mlp before other-" in done.stderr


def homes(here: Installation) -> list[Path]:
    return list((here.settings.data_dir / "index").glob("tracks-*"))


def test_damaged_or_foreign_weights_are_refused_by_name(
    stack: RunningStack, prefix: str, tmp_path: Path, other: Path
) -> None:
    here = Installation(stack, prefix, tmp_path)
    with here.client, here.worker("catalogue,recommendations"):
        old = state(here).version
        foreign = tmp_path / "foreign.safetensors"
        foreign.write_bytes(b"nothing of the kind")
        done = command(here, "promote", "embeat-mlp", str(foreign))
        assert (done.returncode, done.stdout) == (1, "")
        assert str(foreign) in done.stderr
        registry = Registry(here.settings.models_path)
        from streams.serving.checkpoints import register

        new = register(registry, other)
        new.weights.write_bytes(other.read_bytes()[:-4] + b"bad!")
        done = command(here, "promote", "embeat-mlp", new.version)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "embeat_mlp_other.safetensors: expected sha256" in done.stderr
        done = command(here, "promote", "embeat-mlp", "never-there")
        assert done.returncode == 1
        assert f"there: {new.version}, {old}" in done.stderr
        # A worker that is told all the same looks for itself.
        announce(connection_of(here.settings), prefix, promoted(state(here), new.version))
        eventually(lambda: state(here).wanted is None)
        assert "embeat_mlp_other.safetensors: expected sha256" in (state(here).refused or "")
        assert here.ask(limit=1).models[MODEL] == old


def test_shown_version_says_what_it_was_made_of(here: Installation, other: Path) -> None:
    began = time.time()
    assert command(here, "promote", "embeat-mlp", str(other)).returncode == 0
    done = command(here, "show", "embeat-mlp")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["state"], shown["metrics"], shown["data"]) == ("serves", {"album@10": 0.5}, {"a.csv": "1234"})
    assert shown["config"]["backbone_width"] == 64
    assert shown["files"].keys() == {"embeat_mlp_other.safetensors", "embeat_mlp_other.json"}
    assert shown["created_at_ms"] >= (began - 1) * 1000
