"""What an app is told of the worker that it runs in."""

from __future__ import annotations

from pathlib import Path

from streams.app import add_agent, create_app
from streams.settings import Settings, variable
from streams.up import WORKERS, worker_child
from topics.specs import CATALOG_ARTISTS, CATALOG_TRACKS


def test_workers_of_a_stack_come_back_under_their_own_names(tmp_path: Path) -> None:
    children = [worker_child(Settings(data_dir=tmp_path), name) for name in WORKERS]
    names = [child.env[variable("worker_name")] for child in children]
    assert len(set(names)) == len(WORKERS)
    apps = [create_app(Settings(data_dir=tmp_path, worker_name=name), "listening") for name in names]
    assert [app.conf.consumer_group_instance_id for app in apps] == names


async def nothing(_: object) -> None:
    """An agent's body."""


def test_a_member_that_reads_one_topic_more_is_another(tmp_path: Path) -> None:
    names = []
    for topics in ((CATALOG_TRACKS,), (CATALOG_TRACKS, CATALOG_ARTISTS)):
        app = create_app(Settings(data_dir=tmp_path, worker_name="one"), "catalogue")
        for topic in topics:
            add_agent(app, topic, "", nothing)
        names.append(app.conf.consumer_group_instance_id)
    assert names == ["one.catalog.tracks", "one.catalog.tracks.catalog.artists"]


def test_a_worker_without_a_name_is_one_of_any_number(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path), "listening")
    assert app.conf.consumer_group_instance_id is None
