"""Where Qdrant Edge keeps its shard: one directory, one owner, and a pointer that says which shard is the one.

<root>/owner      locked by the process that has the index open; the lock dies with it
<root>/current    the name of the shard in use; replaced by a rename, so it is always one or the other
<root>/shard-7/   what `current` names; any other shard is what a crash left, and goes on the next opening
<root>/outside    how many points were outside the search graph when that was last written down
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeVectorParams,
    FloatIndexParams,
    HnswIndexConfig,
    IntegerIndexParams,
    KeywordIndexParams,
    Memory,
    UpdateOperation,
)

from recall.errors import IndexUnavailable
from recall.index.schema import (
    DECIMAL_FIELDS,
    GRAPH,
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    PLAIN_BELOW_KB,
    Graph,
    graph_of,
)


def shard_config(dimensions: Mapping[str, int]) -> EdgeConfig:
    """One named vector a dimension, compared by dot product, in one segment once it is optimised."""
    return EdgeConfig(
        vectors={name: _vector_config(name, size) for name, size in dimensions.items()},
        hnsw_config=_graph_config(GRAPH),
        # The engine's default drops stored tracks from the page cache: an answer then waits on 100 reads of the disk.
        payload_memory=Memory.Cached,
        id_tracker_memory=Memory.Cached,
        optimizers=EdgeOptimizersConfig(indexing_threshold=PLAIN_BELOW_KB, default_segment_number=1),
        # One segment is searched by one thread; more only wake each other, for half as much again of a core's time.
        max_search_threads=1,
    )


def _vector_config(name: str, size: int) -> EdgeVectorParams:
    graph = graph_of(name)
    own = None if graph == GRAPH else _graph_config(graph)
    return EdgeVectorParams(size=size, distance=Distance.Dot, hnsw_config=own)


def _graph_config(graph: Graph) -> HnswIndexConfig:
    # Links within each genre and artist (payload_m) would cost several times the build.
    return HnswIndexConfig(
        graph.links, graph.build_breadth, graph.compare_all_below_kb, payload_m=0, memory=Memory.Cached
    )


def create_field_indexes(shard: EdgeShard) -> None:
    """Index what filters and orders need; what is indexed already stays as it is.

    Mapped from disk rather than copied into memory, an optimised shard opens five times as fast and answers as fast.
    """
    mapped = Memory.Cached
    for field in KEYWORD_FIELDS:
        shard.update(UpdateOperation.create_field_index(field, KeywordIndexParams(memory=mapped)))
    for field in DECIMAL_FIELDS:
        shard.update(UpdateOperation.create_field_index(field, FloatIndexParams(memory=mapped)))
    for field in INTEGER_FIELDS:
        shard.update(
            UpdateOperation.create_field_index(field, IntegerIndexParams(lookup=False, range=True, memory=mapped))
        )


class ShardHome:
    """The directory, owned by this process until `release`."""

    def __init__(self, root: Path, owner: IO[bytes]) -> None:
        self._root = root
        self._owner = owner

    @classmethod
    def own(cls, root: Path) -> ShardHome:
        """Take the directory, made if need be.

        Raises:
            IndexUnavailable: another process has it.
        """
        root.mkdir(parents=True, exist_ok=True)
        owner = (root / "owner").open("ab")
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner.close()
            raise IndexUnavailable(
                f"expected to be the only owner of the index in {root}, but a running process has it: "
                "stop that one, or use another data directory"
            ) from error
        return cls(root, owner)

    def current(self) -> Path | None:
        """The shard in use, or `None` when there never was one."""
        pointer = self._root / "current"
        return self._root / pointer.read_text().strip() if pointer.exists() else None

    def unused(self) -> Path:
        """A shard directory that does not exist yet."""
        numbers = [int(path.name.removeprefix("shard-")) for path in self._root.glob("shard-*")]
        return self._root / f"shard-{max(numbers, default=0) + 1}"

    def point_to(self, shard: Path) -> None:
        """Make it the shard in use, for good: a power loss leaves the pointer old or new, never neither."""
        draft = self._root / "current.draft"
        with draft.open("w") as file:
            file.write(shard.name)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._root / "current")
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def outside(self) -> int | None:
        """What `note_outside` was told last."""
        note = self._root / "outside"
        return int(note.read_text() or 0) if note.exists() else None

    def note_outside(self, points: int) -> None:
        """Remember roughly how many points are outside the search graph; nothing breaks when a crash loses it."""
        (self._root / "outside").write_text(str(points))

    def sweep(self) -> None:
        """Delete every shard that is not in use."""
        for path in self._root.glob("shard-*"):
            if path != self.current():
                shutil.rmtree(path)

    def delete(self) -> None:
        """Delete the directory, whatever it holds."""
        shutil.rmtree(self._root)

    def release(self) -> None:
        """Let another process own the directory."""
        self._owner.close()


def open_shard(home: ShardHome, dimensions: Mapping[str, int]) -> EdgeShard:
    """The shard in use, or a new one, with all its indexes; what crashes left is deleted.

    Raises:
        IndexUnavailable: what is stored does not open, or has vectors of these names and other dimensions.
    """
    home.sweep()
    current = home.current()
    try:
        if current is not None:
            _fit_vectors(current, dimensions)
            shard = load_shard(current)
            create_field_indexes(shard)
        else:
            current = home.unused()
            current.mkdir()
            shard = EdgeShard.create(str(current), shard_config(dimensions))
            create_field_indexes(shard)
            shard.flush()
            home.point_to(current)
    except IndexUnavailable:
        raise
    except Exception as error:  # the engine raises nothing narrower
        raise IndexUnavailable(f"expected a shard with vectors {dict(dimensions)} in {current}: {error}") from error
    return shard


def _fit_vectors(path: Path, dimensions: Mapping[str, int]) -> None:
    """Add the vectors that an older release of the project did not have; a crash leaves it to the next opening."""
    stored = stored_dimensions(path)
    if any(stored.get(name, size) != size for name, size in dimensions.items()):
        raise IndexUnavailable(f"expected vectors {dict(dimensions)} in {path}, got {stored}: use another directory")
    if missing := dimensions.keys() - stored.keys():
        shard = EdgeShard.load(str(path), shard_config(stored))
        for name in sorted(missing):
            shard.update(UpdateOperation.create_dense_vector(name, dimensions[name], Distance.Dot))
        shard.flush()
        shard.close()


def load_shard(path: Path) -> EdgeShard:
    """A shard that nobody else has open, with the vectors that it has; raises whatever the engine does."""
    return EdgeShard.load(str(path), shard_config(stored_dimensions(path)))


def stored_dimensions(path: Path) -> dict[str, int]:
    """Length of each named vector of a shard."""
    config = json.loads((path / "edge_config.json").read_bytes())
    return {name: int(params["size"]) for name, params in config["vectors"].items()}
