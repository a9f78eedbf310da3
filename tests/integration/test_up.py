"""`throughbeat up` as a person runs it: one process that brings everything up, and takes everything with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

COLUMNS = (
    "track_id,title,artist_id,artist_name,album_id,album_name,release_date,popularity,explicit,danceability,energy,key,"
    "loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo,time_signature,duration_ms\n"
)
TRACKS = COLUMNS + "".join(
    f"t{n},Title {n},a{n},Artist {n},,,2019,{n},false,0.5,0.{n},5,-6,1,0.1,0.2,0,0.1,0.4,120,4,200000\n"
    for n in range(1, 9)
)


def eventually(true: Callable[[], bool], within_s: float = 180.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def cli(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, **options)


def up(data_dir: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "streams.cli", "up", "--data-dir", str(data_dir), *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def test_stack_comes_up_answers_and_leaves_nothing_behind(tmp_path: Path) -> None:
    catalogue, ready = tmp_path / "tracks.csv", tmp_path / "ready.json"
    catalogue.write_text(TRACKS)
    data_dir = tmp_path / "data"
    process = up(data_dir, "--catalogue", catalogue, "--ready-file", ready)
    try:
        eventually(lambda: ready.exists() or process.poll() is not None)
        found = json.loads(ready.read_text())
        assert set(found) == {"kafka", "redis", "http", "data_dir"}
        assert found["http"] is None

        asked = cli("recommend", "--data-dir", data_dir, "--user", "u", "--seed", "track:t3", "--limit", "4", "--json")
        assert asked.returncode == 0, asked.stderr
        assert len(json.loads(asked.stdout)["items"]) == 4

        event = {"event_id": "e", "user_id": "u", "track_id": "t1", "kind": "play", "occurred_at_ms": 5}
        published = cli("publish", "--data-dir", data_dir, "--topic", "listening.events", "-", input=json.dumps(event))
        assert published.returncode == 0, published.stderr

        def heard() -> bool:
            shown = cli("person", "show", "u", "--data-dir", data_dir, "--json")
            return [one["track_id"] for one in json.loads(shown.stdout)["heard"]] == ["t1"]

        eventually(heard)
        targets = json.loads((data_dir / "run" / "metrics.json").read_text())
        assert [target["labels"]["worker"] for target in targets] == ["index", "listening"]
        for target in targets:
            with urllib.request.urlopen(f"http://{target['targets'][0]}/metrics", timeout=10) as found:
                assert b"throughbeat_worker_info{" in found.read()
        examined = cli("doctor", "--data-dir", data_dir)
        assert examined.returncode == 0, examined.stdout
        assert f"metrics listening: http://{targets[1]['targets'][0]}/metrics" in examined.stdout

        second = cli("up", "--data-dir", data_dir)
        assert second.returncode == 1
        assert str(data_dir) in second.stderr
        assert "Traceback" not in second.stderr
        # The stack that runs is still to be found.
        assert cli("doctor", "--data-dir", data_dir).returncode == 0
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 4
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(120)
    assert code == 0
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not ready.exists()
    assert not (data_dir / "run" / "metrics.json").exists()


def test_command_without_a_stack_says_in_one_line_what_to_do(tmp_path: Path) -> None:
    asked = cli("recommend", "--data-dir", tmp_path, "--kafka", "127.0.0.1:1", "--user", "u")
    assert asked.returncode == 1
    assert "throughbeat up" in asked.stderr
    assert len(asked.stderr.strip().splitlines()) == 1


def test_catalogue_that_cannot_be_read_is_told_in_one_line_before_anything_starts(tmp_path: Path) -> None:
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("artist_id\n")
    for catalogue in (tmp_path / "nowhere.csv", tmp_path / "songs.txt", lacking):
        done = cli("up", "--data-dir", tmp_path / "data", "--catalogue", catalogue)
        assert done.returncode == 1
        assert catalogue.name in done.stderr.strip().splitlines()[-1]
        assert not (tmp_path / "data").exists()
