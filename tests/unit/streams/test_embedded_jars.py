"""Jars are fetched once, whole, and never used unchecked."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams.embedded.errors import JarMismatch, JarUnavailable
from streams.embedded.kafka_jars import Jar, class_path, pinned_jars, require_jars

CONTENTS = {"a-1.jar": b"first", "b-2.jar": b"second"}
JARS = [Jar(hashlib.sha256(content).hexdigest(), name, f"g:{name[0]}:{name[2]}") for name, content in CONTENTS.items()]


class Repository:
    """Hands out jars and counts how often it was asked."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.calls = 0

    def fetch(self, jars: Sequence[Jar], directory: Path) -> None:
        self.calls += 1
        for jar in jars:
            (directory / jar.name).write_bytes(self.contents[jar.name])


def test_jars_are_fetched_once_however_many_start_together(tmp_path: Path) -> None:
    repository, cache = Repository(CONTENTS), tmp_path / "cache" / "kafka"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: require_jars(cache, JARS, repository.fetch), range(16)))
    assert repository.calls == 1
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == CONTENTS


def test_jar_that_was_tampered_with_at_the_source_never_reaches_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "kafka"
    with pytest.raises(JarMismatch, match=r"^b-2\.jar in "):
        require_jars(cache, JARS, Repository({**CONTENTS, "b-2.jar": b"evil"}).fetch)
    assert [path.name for path in tmp_path.iterdir()] == ["kafka.lock"]


def test_jar_that_was_tampered_with_in_the_cache_is_refused_in_one_line(tmp_path: Path) -> None:
    cache = tmp_path / "kafka"
    require_jars(cache, JARS, Repository(CONTENTS).fetch)
    (cache / "a-1.jar").write_bytes(b"evil")
    with pytest.raises(JarMismatch) as refused:
        require_jars(cache, JARS, Repository(CONTENTS).fetch)
    evil = hashlib.sha256(b"evil").hexdigest()
    assert str(refused.value) == (
        f"a-1.jar in {cache} has sha256 {evil}, expected {JARS[0].sha256}: delete {cache} to fetch the jars anew"
    )


def test_missing_jar_is_refused_by_name(tmp_path: Path) -> None:
    cache = tmp_path / "kafka"
    require_jars(cache, JARS, Repository(CONTENTS).fetch)
    (cache / "b-2.jar").unlink()
    with pytest.raises(JarUnavailable, match=r"^b-2\.jar is missing in .*: delete .* to fetch the jars anew$"):
        require_jars(cache, JARS, Repository(CONTENTS).fetch)


def test_remains_of_a_killed_fetch_are_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".kafka-killed").mkdir()
    (tmp_path / ".kafka-killed" / "half.jar").write_bytes(b"half")
    require_jars(tmp_path / "kafka", JARS, Repository(CONTENTS).fetch)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kafka", "kafka.lock"]


def test_class_path_names_pinned_jars_only(tmp_path: Path) -> None:
    (tmp_path / "uninvited.jar").write_bytes(b"")
    assert [Path(entry).name for entry in class_path(tmp_path).split(":")] == [jar.name for jar in pinned_jars()]


def test_each_pinned_jar_stands_under_the_name_that_its_coordinate_gives() -> None:
    for jar in pinned_jars():
        group, artifact, version = jar.coordinate.split(":")
        assert jar.name == f"{artifact}-{version}.jar"
        assert len(bytes.fromhex(jar.sha256)) == 32
        assert group
