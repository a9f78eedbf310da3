from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import UnknownVersion, VersionDamaged
from models.registry import Registry


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"abc")
    return path


def test_version_is_kept_with_what_is_told_of_it(tmp_path: Path, weights: Path) -> None:
    registry = Registry(tmp_path / "models")
    told = {"config": {"width": 2}, "offsets": {"catalog.playlists": {"0": 7}}, "parents": ["embeat_mlp x"], "more": 1}
    registry.add("track2vec", "v1", [weights], told)
    weights.unlink()
    found = registry.find("track2vec", "v1")
    assert found.weights.read_bytes() == b"abc"
    assert found.size_bytes == 3
    # Of "abc", by the standard's own example (FIPS 180-2, appendix B.1).
    assert found.files == {
        "mine.safetensors": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }
    assert found.told == {
        "config": {"width": 2},
        "metrics": None,
        "data": None,
        "offsets": {"catalog.playlists": {"0": 7}},
        "parents": ["embeat_mlp x"],
    }


def test_versions_of_models_are_apart_and_the_newest_comes_first(tmp_path: Path, weights: Path) -> None:
    registry = Registry(tmp_path / "models")
    assert registry.versions() == []
    for model, version, created_at_ms in (("a", "v1", 5), ("a", "v2", 9), ("b", "v1", 7)):
        registry.add(model, version, [weights], {})
        manifest = tmp_path / "models" / model / version / "manifest.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "created_at_ms": created_at_ms}))
    assert [(one.model, one.version) for one in registry.versions()] == [("a", "v2"), ("a", "v1"), ("b", "v1")]
    registry.remove("a", "v2")
    assert [one.version for one in registry.versions("a")] == ["v1"]
    assert sorted(path.name for path in (tmp_path / "models" / "a").iterdir()) == ["v1"]


def test_version_that_is_there_is_never_changed(tmp_path: Path, weights: Path) -> None:
    registry = Registry(tmp_path / "models")
    first = registry.add("a", "v1", [weights], {"metrics": 1})
    weights.write_bytes(b"other")
    assert registry.add("a", "v1", [weights], {"metrics": 2}) == first
    assert registry.find("a", "v1").weights.read_bytes() == b"abc"


def test_draft_that_a_crash_left_is_no_version(tmp_path: Path, weights: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.add("a", "v1", [weights], {})
    (tmp_path / "models" / "a" / "v1").rename(tmp_path / "models" / "a" / ".v1.1234")
    assert registry.versions() == []
    with pytest.raises(UnknownVersion, match="there: none"):
        registry.find("a", "v1")


def test_unknown_version_is_told_with_those_there_are(tmp_path: Path, weights: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.add("a", "v1", [weights], {})
    for version in ("v2", "", "..", "../b/v1", ".v1"):
        with pytest.raises(UnknownVersion, match="there: v1"):
            registry.find("a", version)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b"])
def test_name_that_is_no_directory_is_refused(tmp_path: Path, weights: Path, name: str) -> None:
    for model, version in (("a", name), (name, "v1")):
        with pytest.raises(ValueError, match="expected a name"):
            Registry(tmp_path / "models").add(model, version, [weights], {})


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damaged_file_is_named(tmp_path: Path, weights: Path, damage: str) -> None:
    registry = Registry(tmp_path / "models")
    stored = registry.add("a", "v1", [weights], {})
    stored.weights.write_bytes(b"abd") if damage == "changed" else stored.weights.unlink()
    with pytest.raises(VersionDamaged, match=r"a/v1/mine\.safetensors: expected"):
        registry.find("a", "v1")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"model": "b", "version": "v1", "created_at_ms": 1, "files": {}}']
)
def test_damaged_manifest_is_named(tmp_path: Path, weights: Path, text: str) -> None:
    registry = Registry(tmp_path / "models")
    registry.add("a", "v1", [weights], {})
    (tmp_path / "models" / "a" / "v1" / "manifest.json").write_text(text)
    with pytest.raises(VersionDamaged, match=r"a/v1/manifest\.json: expected"):
        registry.find("a", "v1")
    assert registry.versions() == []
