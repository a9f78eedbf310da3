"""Imports on a real broker: everything arrives, and an interrupted import goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.partitioner.default import murmur2

from streams.cli import importing
from streams.embedded.ports import free_port
from streams.embedded.stack import RunningStack, running_stack
from streams.importing import Options, Progress, Report, import_catalogue, import_file
from streams.importing.errors import ImportStopped
from streams.importing.run import CHUNK_ITEMS, CHUNKS_WAITING
from streams.settings import Settings, read_settings
from topics.codec import decode
from topics.connection import BrokerUnavailable
from topics.errors import UnknownTopic
from topics.records import Playlist, Track
from topics.specs import CATALOG_ARTISTS, CATALOG_PLAYLISTS, CATALOG_TRACKS, TopicSpec, full_name

TRACKS = 30_000
# Sent, but not yet acknowledged and written down, when an import is interrupted.
IN_FLIGHT_MAX = CHUNK_ITEMS * (CHUNKS_WAITING + 1)


class Stopped(Exception):
    pass


class Installation:
    def __init__(self, bootstrap: str, prefix: str, data_dir: Path) -> None:
        self.settings = Settings(kafka_url=bootstrap, topic_prefix=prefix, data_dir=data_dir)
        self.create(CATALOG_TRACKS, CATALOG_ARTISTS, CATALOG_PLAYLISTS)

    def create(self, *specs: TopicSpec) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.settings.kafka_url)
        wanted = {
            self.name(spec): {"num_partitions": spec.partitions, "replication_factor": 1, "configs": spec.config}
            for spec in specs
        }
        admin.create_topics(wanted, wait_for_metadata=True)
        admin.close()

    def make_anew(self, spec: TopicSpec) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.settings.kafka_url)
        admin.delete_topics([self.name(spec)])
        admin.close()
        self.create(spec)

    def name(self, spec: TopicSpec) -> str:
        return full_name(spec, self.settings.topic_prefix)

    def records(self, spec: TopicSpec) -> list[Any]:
        """All records of a topic, each partition from its first to its last."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka_url)
        partitions = [TopicPartition(self.name(spec), number) for number in range(spec.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        found: list[Any] = []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for batch in consumer.poll(1_000).values():
                found += batch
        consumer.close()
        return found

    def track_ids(self) -> Counter[str]:
        return Counter(record.key.decode() for record in self.records(CATALOG_TRACKS))

    def states(self) -> list[Path]:
        return list(self.settings.data_dir.glob("imports/*"))


@pytest.fixture
def here(stack: RunningStack, prefix: str, tmp_path: Path) -> Installation:
    return Installation(stack.kafka_bootstrap, prefix, tmp_path / "data")


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    path = tmp_path / "tracks.csv"
    rows = [f"t{number},Title {number},{number % 101}" for number in range(TRACKS)]
    path.write_text("\n".join(["track_id,title,popularity", *rows]) + "\n")
    return path


def all_ids() -> set[str]:
    return {f"t{number}" for number in range(TRACKS)}


def stop_after(rows: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    acted: list[bool] = []

    def watch(progress: Progress) -> None:
        if progress.rows >= rows and not acted:
            acted.append(True)
            act()

    return watch


def stop() -> None:
    raise Stopped


def test_every_row_arrives_once_on_the_partition_that_other_clients_name(here: Installation, tracks: Path) -> None:
    report = import_file("tracks", tracks, here.settings)
    assert (report.sent, report.rows, report.refused, report.resumed_rows) == (TRACKS, TRACKS, {}, 0)
    records = here.records(CATALOG_TRACKS)
    assert sorted(record.key for record in records) == sorted(track_id.encode() for track_id in all_ids())
    assert all(record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 4 for record in records)
    one = next(record for record in records if record.key == b"t205")
    assert decode(one.value, Track) == Track(track_id="t205", title="Title 205", artists=(), popularity=3.0)
    assert here.states() == []


def test_killed_import_goes_on_where_it_stopped_and_loses_nothing(here: Installation, tracks: Path) -> None:
    own = [sys.executable, "-m", "tests.integration.test_import", "kill", str(tracks)]
    child = subprocess.run(own, env=environment(here), check=False, timeout=180)
    assert child.returncode == -signal.SIGKILL
    seen: list[Progress] = []
    report = import_file("tracks", tracks, here.settings, on_progress=seen.append)
    # The state was written just before the process was killed at 10,000 rows.
    assert (seen[0].rows, seen[0].resumed_rows, seen[0].total) == (10_000, 10_000, TRACKS)
    assert (report.resumed_rows, report.sent, report.rows) == (10_000, TRACKS, TRACKS)
    arrived = here.track_ids()
    assert arrived.keys() == all_ids()
    assert arrived.total() <= TRACKS + IN_FLIGHT_MAX
    assert here.states() == []


def test_refused_rows_of_both_runs_are_counted_and_written(here: Installation, tmp_path: Path) -> None:
    path, refused_path = tmp_path / "dirty.csv", tmp_path / "refused.jsonl"
    rows = [f"t{number},T,{'x' if number % 1_000 == 0 else 5}" for number in range(10_000)]
    path.write_text("\n".join(["track_id,title,popularity", *rows]))
    options = Options(refused_path=refused_path)
    with pytest.raises(Stopped):
        import_file("tracks", path, here.settings, options=options, on_progress=stop_after(2_000, stop))
    report = import_file("tracks", path, here.settings, options=options)
    assert (report.sent, report.refused) == (9_990, {"popularity: expected float | null, got str": 10})
    written = [json.loads(line) for line in refused_path.read_text().splitlines()]
    assert [(one["row"], one["line"]) for one in written] == [(n + 1, f"t{n},T,x") for n in range(0, 10_000, 1_000)]


def test_records_larger_than_a_batch_and_many_that_fill_several_arrive(here: Installation, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("\n".join(["track_id,title", *(f"t{number},{'x' * 1_900}" for number in range(3_000))]))
    assert import_file("tracks", path, here.settings).sent == 3_000
    assert here.track_ids() == Counter(f"t{number}" for number in range(3_000))
    path.write_text("\n".join(["playlist_id,track_id", *(f"p,{number:050d}" for number in range(19_000))]))
    assert import_file("playlists", path, here.settings).sent == 1
    (record,) = here.records(CATALOG_PLAYLISTS)
    assert len(record.value) > 1_000_000
    assert len(decode(record.value, Playlist).track_ids) == 19_000


def test_restart_begins_anew(here: Installation, tracks: Path) -> None:
    with pytest.raises(Stopped):
        import_file("tracks", tracks, here.settings, on_progress=stop_after(4_000, stop))
    report = import_file("tracks", tracks, here.settings, options=Options(restart=True))
    assert (report.resumed_rows, report.sent) == (0, TRACKS)
    arrived = here.track_ids()
    assert {arrived[f"t{number}"] for number in range(4_000)} == {2}


def test_topic_that_was_made_anew_gets_the_whole_file(here: Installation, tracks: Path) -> None:
    with pytest.raises(Stopped):
        import_file("tracks", tracks, here.settings, on_progress=stop_after(4_000, stop))
    here.make_anew(CATALOG_TRACKS)
    assert import_file("tracks", tracks, here.settings).resumed_rows == 0
    assert here.track_ids().keys() == all_ids()


def test_stamp_of_now_stays_the_same_when_an_import_is_resumed(here: Installation, tracks: Path) -> None:
    options = Options(updated_at="now")
    with pytest.raises(Stopped):
        import_file("tracks", tracks, here.settings, options=options, on_progress=stop_after(4_000, stop))
    import_file("tracks", tracks, here.settings, options=options)
    stamps = {decode(record.value, Track).updated_at_ms for record in here.records(CATALOG_TRACKS)}
    assert len(stamps) == 1
    assert None not in stamps


def test_broker_that_is_killed_and_comes_back_gets_the_rest(tracks: Path, tmp_path: Path) -> None:
    with running_stack(tmp_path / "stack") as own:
        here = Installation(own.kafka_bootstrap, "", tmp_path / "data")

        def bounce() -> None:
            own.kafka.kill()
            own.kafka.start()

        report = import_file("tracks", tracks, here.settings, on_progress=stop_after(6_000, bounce))
        assert report.sent == TRACKS
        assert here.track_ids().keys() == all_ids()


def test_import_that_is_told_to_stop_ends_though_the_broker_is_frozen(tracks: Path, tmp_path: Path) -> None:
    stopping = threading.Event()
    with running_stack(tmp_path / "stack") as own:
        here = Installation(own.kafka_bootstrap, "", tmp_path / "data")

        def freeze_and_stop() -> None:
            own.kafka.freeze()
            stopping.set()

        with pytest.raises(ImportStopped):
            import_file(
                "tracks",
                tracks,
                here.settings,
                options=Options(stopping=stopping),
                on_progress=stop_after(6_000, freeze_and_stop),
            )
        own.kafka.thaw()
        # Far from the 30 s after which a request counts as lost, the import is over, and can be resumed.
        report = import_file("tracks", tracks, here.settings)
        # What was acknowledged just before the broker froze counts, and nothing after.
        assert 6_000 <= report.resumed_rows <= 6_000 + IN_FLIGHT_MAX
        assert report.sent == TRACKS
        assert here.track_ids().keys() == all_ids()


def test_last_day_of_a_chart_is_what_stays(here: Installation, tmp_path: Path) -> None:
    path = tmp_path / "charts.csv"
    days = ["2023-11-06", "2023-11-04", "2023-11-05"]
    rows = [f"{day},Chart {chart},0,{day}" for day in days for chart in range(50)]
    path.write_text("\n".join(["day,chart,position,track_id", *rows]))
    report = import_file("charts", path, here.settings)
    assert (report.sent, report.rows) == (150, 150)
    last = {record.key.decode(): decode(record.value, Playlist) for record in here.records(CATALOG_PLAYLISTS)}
    assert last.keys() == {f"chart:Chart {chart}" for chart in range(50)}
    assert {playlist.track_ids for playlist in last.values()} == {("2023-11-06",)}


def test_catalogue_is_imported_once_and_again_when_a_file_changes(here: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "tracks.csv").write_text("track_id,title\nt1,A\n")
    (folder / "artist_genres.json").write_text('{"a1": ["disco"]}')
    (folder / "playlists.csv").write_text("playlist_id,track_id\np1,t1\n")
    reports = import_catalogue(folder, here.settings)
    assert [(report.kind, report.sent) for report in reports] == [("artists", 1), ("tracks", 1), ("playlists", 1)]
    import_catalogue(folder, here.settings)
    assert here.track_ids() == {"t1": 1}
    (folder / "tracks.csv").write_text("track_id,title\nt1,A\nt2,B\n")
    import_catalogue(folder, here.settings)
    assert here.track_ids() == {"t1": 2, "t2": 1}
    assert len(here.records(CATALOG_ARTISTS)) == 1


def test_topic_that_does_not_exist_is_named(stack: RunningStack, prefix: str, tracks: Path, tmp_path: Path) -> None:
    settings = Settings(kafka_url=stack.kafka_bootstrap, topic_prefix=prefix, data_dir=tmp_path)
    with pytest.raises(UnknownTopic, match=rf"has no topic {prefix}\.catalog\.tracks: run `throughbeat topics create`"):
        import_file("tracks", tracks, settings)


def test_address_where_no_broker_answers_is_named(tracks: Path, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerUnavailable, match=f"no Kafka answers at {address}"):
        import_file("tracks", tracks, Settings(kafka_url=address, data_dir=tmp_path))


def test_command_tells_what_was_refused_and_why_and_succeeds_with_the_rest(here: Installation, tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text("track_id,title,popularity\nt1,A,5\nt2,B,x\nt3,C,101\n")
    told = command(here, "tracks", str(path), "--json")
    found = json.loads(told.stdout)
    assert told.returncode == 0
    assert (found["rows"], found["sent"], found["resumed_at_row"]) == (3, 1, None)
    assert found["refused"] == {
        "popularity: expected float | null, got str": 1,
        "popularity: expected float <= 100.0": 1,
    }
    assert {"seconds", "rows_per_second"} <= found.keys()
    shown = command(here, "tracks", str(path)).stdout
    assert "1 tracks sent of 3 rows" in shown
    assert "popularity: expected float | null, got str" in shown


def test_command_fails_when_every_row_is_refused(here: Installation, tmp_path: Path) -> None:
    (tmp_path / "tracks.csv").write_text("track_id,title\n,A\n,B\n")
    told = command(here, "tracks", str(tmp_path / "tracks.csv"), "--json")
    assert (told.returncode, json.loads(told.stdout)["sent"]) == (1, 0)


def test_command_says_where_it_resumes(here: Installation, tracks: Path) -> None:
    with pytest.raises(Stopped):
        import_file("tracks", tracks, here.settings, on_progress=stop_after(10_000, stop))
    told = command(here, "tracks", str(tracks), "--json")
    assert told.stderr == "resuming at row 10,001 of 30,000 (--restart begins anew)\n"
    assert (json.loads(told.stdout)["resumed_at_row"], json.loads(told.stdout)["sent"]) == (10_001, TRACKS)


def test_command_that_is_interrupted_says_where_it_stopped(here: Installation, tracks: Path) -> None:
    own = [sys.executable, "-m", "tests.integration.test_import", "interrupt", str(tracks)]
    told = subprocess.run(own, env=environment(here), check=False, timeout=180, capture_output=True, text=True)
    assert told.returncode == 130
    # Rows that were acknowledged between the signal and the end count too.
    resumed = import_file("tracks", tracks, here.settings).resumed_rows
    assert 10_000 <= resumed < TRACKS
    assert told.stderr == f"throughbeat: stopped after row {resumed:,}; run the same command again to go on there\n"


def test_command_names_missing_columns_in_one_line(here: Installation, tmp_path: Path) -> None:
    (tmp_path / "tracks.csv").write_text("id,name\n1,A\n")
    told = command(here, "tracks", str(tmp_path / "tracks.csv"))
    expected = f"throughbeat: {tmp_path}/tracks.csv lacks the columns track_id, title; it has id, name\n"
    assert (told.returncode, told.stdout, told.stderr) == (1, "", expected)


def environment(here: Installation) -> dict[str, str]:
    settings = here.settings
    ours = {"KAFKA_URL": settings.kafka_url, "TOPIC_PREFIX": settings.topic_prefix, "DATA_DIR": str(settings.data_dir)}
    return {**os.environ, "COLUMNS": "120", **{f"THROUGHBEAT_{name}": value for name, value in ours.items()}}


def command(here: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "streams.cli", "import", *arguments]
    return subprocess.run(line, env=environment(here), check=False, timeout=180, capture_output=True, text=True)


def _import_and_be_killed(path: Path) -> None:
    end = stop_after(10_000, lambda: os.kill(os.getpid(), signal.SIGKILL))
    import_file("tracks", path, read_settings(os.environ), on_progress=end)


def _import_and_be_interrupted(path: Path) -> None:
    end = stop_after(10_000, lambda: os.kill(os.getpid(), signal.SIGINT))

    def watched(*given: Any, on_progress: Callable[[Progress], None], **named: Any) -> Report:
        def both(progress: Progress) -> None:
            on_progress(progress)
            end(progress)

        return import_file(*given, on_progress=both, **named)

    # A shell that runs the tests in the background has them ignore the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with patch("streams.cli.importing.import_file", watched):
        importing.import_app(["tracks", str(path)])


if __name__ == "__main__":
    {"kill": _import_and_be_killed, "interrupt": _import_and_be_interrupted}[sys.argv[1]](Path(sys.argv[2]))
