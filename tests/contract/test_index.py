"""One suite for every vector index: in this process, as a server's client on its local mode, and on a real server."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient

from recall.errors import IndexUnavailable
from recall.index.edge import EdgeIndex
from recall.index.kept import Encoded
from recall.index.protocol import NO_FILTER, FeatureRange, TrackFilter, TrackIndex
from recall.index.server import ServerIndex
from recall.index.switched import SwitchedIndex
from recall.tracks import ACOUSTIC, COOCCURRENCE, CataloguedTrack, IndexedTrack, Vector
from tests.brute_index import BruteIndex
from topics.records import ArtistRef, Features

DIMENSIONS = {ACOUSTIC: 64, COOCCURRENCE: 64, "audio": 3}
SERVER_URL = os.environ.get("THROUGHBEAT_TEST_QDRANT_URL", "")
KINDS = ["edge", "switched", "local", *(["server"] if SERVER_URL else [])]


@pytest.fixture(params=KINDS)
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TrackIndex]:
    if request.param in ("edge", "switched"):
        made: TrackIndex = EdgeIndex.open(tmp_path / "index", dimensions=DIMENSIONS)
        if request.param == "switched":
            made = SwitchedIndex("serving", made)
            made.add("beside", EdgeIndex.open(tmp_path / "beside", dimensions=DIMENSIONS))
        yield made
        await made.close()
        return
    client = AsyncQdrantClient(":memory:") if request.param == "local" else AsyncQdrantClient(url=SERVER_URL)
    name = f"test-{uuid.uuid4().hex}"
    server = ServerIndex(client, name, DIMENSIONS)
    await server.prepare()
    yield server
    await client.delete_collection(name)
    await server.close()


def unit(rng: np.random.Generator) -> Vector:
    vector = rng.normal(size=64).astype(np.float32)
    return vector / np.linalg.norm(vector)


def along(axis: int, sign: float = 1.0) -> Vector:
    vector = np.zeros(64, np.float32)
    vector[axis] = sign
    return vector


def one(track_id: str, vector: Vector | None = None, **fields: Any) -> IndexedTrack:
    fields.setdefault("title", f"Title {track_id}")
    artist = fields.pop("artist", "a")
    track = CataloguedTrack(track_id=track_id, artists=(ArtistRef(artist_id=artist, name=artist.upper()),), **fields)
    return IndexedTrack(track, {} if vector is None else {ACOUSTIC: vector})


def some_tracks(count: int, seed: int = 3) -> list[IndexedTrack]:
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    genres = ["rock", "pop", "jazz", "métal", "嘻哈"]
    return [
        one(
            f"t{n:03d}",
            unit(rng) if n % 10 else None,
            artist=f"a{n % 17}",
            title=f"Song {n % 29}",
            genres=tuple(draw.sample(genres, draw.randint(0, 3))),
            release_date=draw.choice([None, "1999", "2003-05", "2003-05-17", "2020-12-31"]),
            popularity=draw.choice([None, float(n)]),
            features=Features(energy=n / count, tempo=60.0 + n) if n % 3 else None,
            added_at_ms=1000 + n,
            updated_at_ms=n,
        )
        for n in range(count)
    ]


async def test_upserted_tracks_are_searchable_at_once_and_whole(index: TrackIndex) -> None:
    stored = one("晴天 🎵", along(0), genres=("c-pop",), features=Features(energy=0.5), isrc="X", explicit=True)
    await index.upsert([stored])
    hits = await index.nearest(along(0), 5)
    assert [(hit.track, round(hit.score, 5)) for hit in hits] == [(stored.track, 1.0)]
    found = await index.fetch(["晴天 🎵", "nobody"], with_vectors=True)
    assert list(found) == ["晴天 🎵"]
    np.testing.assert_allclose(found["晴天 🎵"].vectors[ACOUSTIC], along(0), atol=1e-6)
    assert await index.count() == 1


async def test_nearest_equals_arithmetic(index: TrackIndex) -> None:
    tracks = some_tracks(200)
    await index.upsert(tracks)
    oracle = BruteIndex(tracks)
    rng = np.random.default_rng(9)
    for limit in (1, 10, 500):
        query = unit(rng)
        expected = await oracle.nearest(query, limit)
        got = await index.nearest(query, limit)
        assert [hit.track.track_id for hit in got] == [hit.track.track_id for hit in expected]
        np.testing.assert_allclose([hit.score for hit in got], [hit.score for hit in expected], atol=1e-5)


async def test_vectors_alone_are_those_of_fetch(index: TrackIndex) -> None:
    tracks = some_tracks(30)
    await index.upsert(tracks)
    ids = [track.track.track_id for track in tracks]
    expected = {
        i: one.vectors[ACOUSTIC] for i, one in (await index.fetch(ids, with_vectors=True)).items() if one.vectors
    }
    found = await index.vectors([*ids, "nobody"])
    assert len(found) == 27
    assert found.keys() == expected.keys()
    for track_id, vector in found.items():
        np.testing.assert_array_equal(vector, expected[track_id])
    assert await index.vectors([]) == {}


FILTERS: dict[str, TrackFilter] = {
    "none": NO_FILTER,
    "genres_any": TrackFilter(genres_any=("métal", "嘻哈")),
    "genres_none": TrackFilter(genres_none=("rock",)),
    "artists": TrackFilter(artists_any=("a3", "a4", "nobody")),
    "artists_none": TrackFilter(artists_none=("a3", "a4")),
    "tracks_none": TrackFilter(tracks_none=("t001", "t002", "nobody")),
    "from": TrackFilter(released_from=20030501),
    "to": TrackFilter(released_to=20030501),
    "between": TrackFilter(released_from=20030502, released_to=20031231),
    "energy": TrackFilter(features=(FeatureRange("energy", 0.25, 0.5),)),
    "two features": TrackFilter(features=(FeatureRange("energy", 0.1, 0.9), FeatureRange("tempo", 100, 140))),
    "together": TrackFilter(
        genres_any=("rock", "pop"), genres_none=("jazz",), artists_none=("a5",), released_to=20200101
    ),
    "nothing fits": TrackFilter(genres_any=("polka",)),
}


@pytest.mark.parametrize("where", FILTERS.values(), ids=list(FILTERS))
async def test_filters_mean_the_same_everywhere(index: TrackIndex, where: TrackFilter) -> None:
    tracks = some_tracks(150)
    await index.upsert(tracks)
    oracle = BruteIndex(tracks)
    query = unit(np.random.default_rng(1))
    nearest = await index.nearest(query, 1000, where)
    assert [h.track.track_id for h in nearest] == [h.track.track_id for h in await oracle.nearest(query, 1000, where)]
    assert await index.most_popular(1000, where) == await oracle.most_popular(1000, where)
    assert await index.newest(1000, where) == await oracle.newest(1000, where)
    matching = await index.matching(where, 1000)
    assert {t.track_id for t in matching} == {t.track_id for t in await oracle.matching(where, 1000)}
    assert len(matching) == len({t.track_id for t in matching})


async def test_orders_hold_within_a_limit(index: TrackIndex) -> None:
    tracks = some_tracks(120)
    await index.upsert(tracks)
    oracle = BruteIndex(tracks)
    newest = [track.track_id for track in await index.newest(7)]
    assert newest == [track.track_id for track in await oracle.newest(7)]
    popular = [track.popularity for track in await index.most_popular(7)]
    assert popular == [track.popularity for track in await oracle.most_popular(7)]
    assert len(await index.matching(NO_FILTER, 5)) == 5


async def test_older_stamp_never_replaces_a_newer_one(index: TrackIndex) -> None:
    await index.upsert([one("t", along(0), title="Newer", updated_at_ms=200)])
    await index.upsert([one("t", along(1), title="Older", updated_at_ms=100), one("other", updated_at_ms=100)])
    assert await titles(index, "t", "other") == ["Newer", "Title other"]
    np.testing.assert_allclose((await index.nearest(along(0), 1))[0].score, 1.0, atol=1e-5)
    await index.upsert([one("t", along(1), title="Same stamp", updated_at_ms=200)])
    assert await titles(index, "t") == ["Same stamp"]
    await index.upsert([one("t", along(1), title="No stamp")])
    assert await titles(index, "t") == ["No stamp"]
    await index.upsert([one("t", along(1), title="Any stamp", updated_at_ms=1)])
    assert await titles(index, "t") == ["Any stamp"]


async def test_within_one_call_the_last_that_is_not_older_stands(index: TrackIndex) -> None:
    versions = [(3, "c"), (1, "a"), (3, "d"), (2, "b")]
    await index.upsert([one("t", along(0), title=title, updated_at_ms=stamp) for stamp, title in versions])
    assert await titles(index, "t") == ["d"]
    assert await index.count() == 1


async def test_redelivery_changes_nothing(index: TrackIndex) -> None:
    tracks = some_tracks(20)
    for _ in range(3):
        await index.upsert(tracks)
    assert await index.count() == 20
    assert {i: o.track for i, o in (await index.fetch([t.track.track_id for t in tracks])).items()} == {
        t.track.track_id: t.track for t in tracks
    }


async def test_withdrawn_tracks_are_nowhere_and_may_come_back_older(index: TrackIndex) -> None:
    await index.upsert([one("t", along(0), updated_at_ms=9, genres=("g",)), one("stays", along(1))])
    await index.withdraw(["t", "never there"])
    assert [hit.track.track_id for hit in await index.nearest(along(0), 9)] == ["stays"]
    assert [track.track_id for track in await index.most_popular(9)] == ["stays"]
    assert await index.fetch(["t"]) == {}
    await index.upsert([one("t", along(0), updated_at_ms=1)])
    assert await index.count() == 2


async def test_what_was_read_before_is_read_anew_once_it_is_written(index: TrackIndex) -> None:
    await index.upsert([one("x", along(0), popularity=1.0)])
    assert len(await index.nearest(along(0), 5)) == 1
    await index.upsert([one("x", along(1), popularity=2.0)])
    assert (await index.most_popular(1))[0].popularity == 2.0
    assert (await index.vectors(["x"]))["x"].tolist() == along(1).tolist()
    await index.withdraw(["x"])
    assert await index.fetch(["x"]) == {}


async def test_track_without_a_vector_is_found_by_all_but_nearness(index: TrackIndex) -> None:
    await index.upsert([one("mute", popularity=5.0), one("heard", along(0))])
    assert [hit.track.track_id for hit in await index.nearest(along(0), 9)] == ["heard"]
    assert [track.track_id for track in await index.most_popular(9)] == ["mute", "heard"]
    assert (await index.fetch(["mute"], with_vectors=True))["mute"].vectors == {}


async def test_track_that_loses_its_vector_is_no_longer_near_anything(index: TrackIndex) -> None:
    await index.upsert([one("t", along(0))])
    await index.upsert([one("t")])
    assert await index.nearest(along(0), 9) == []
    assert (await index.fetch(["t"], with_vectors=True))["t"].vectors == {}


async def test_equal_scores_are_ordered_by_track_id_also_at_the_cut(index: TrackIndex) -> None:
    await index.upsert([one(f"t{n}", along(0)) for n in (5, 3, 8, 1, 9, 2)])
    assert [hit.track.track_id for hit in await index.nearest(along(0), 3)] == ["t1", "t2", "t3"]


@pytest.mark.parametrize("bad", [np.full(64, np.nan), np.full(64, np.inf), np.ones(63), np.ones((2, 32))])
async def test_vector_that_is_none_is_refused_before_anything_is_written(index: TrackIndex, bad: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        await index.upsert([one("good", along(0)), one("bad", bad.astype(np.float32))])
    with pytest.raises(ValueError, match="expected"):
        await index.nearest(bad.astype(np.float32), 3)
    assert await index.count() == 0


async def test_exact_search_and_a_drawn_vector_come_from_what_is_stored(index: TrackIndex) -> None:
    assert await index.sample(random.Random(1)) is None
    tracks = some_tracks(60)
    await index.upsert(tracks)
    stored = {i: v.tolist() for i, v in (await index.vectors([one.track.track_id for one in tracks])).items()}
    rng, drawn = random.Random(1), set()
    for _ in range(200):
        vector = await index.sample(rng)
        if vector is not None:
            drawn |= {i for i, numbers in stored.items() if numbers == vector.tolist()}
    assert len(drawn) > 30
    assert await index.sample(rng, using="audio") is None
    query = unit(np.random.default_rng(2))
    exact = await index.nearest(query, 60, exact=True)
    assert ids(exact) == ids(await BruteIndex(tracks).nearest(query, 60))


async def test_pages_hold_every_track_once_with_all_its_vectors(index: TrackIndex) -> None:
    assert await index.page(None, 10) == ([], None)
    tracks = some_tracks(35)
    await index.upsert([with_more(one, cooccurrence=along(n)) for n, one in enumerate(tracks)])
    found, after = await index.page(None, 10)
    while after is not None:
        more, after = await index.page(after, 10)
        assert 0 < len(more) <= 10
        found += more
    expected = await index.fetch([one.track.track_id for one in tracks], with_vectors=True)
    assert len(found) == 35
    assert plain({one.track.track_id: one for one in found}) == plain(expected)


def audio(x: float, y: float, z: float) -> Vector:
    return np.array([x, y, z], np.float32)


def with_more(single: IndexedTrack, **more: Vector) -> IndexedTrack:
    return IndexedTrack(single.track, {**single.vectors, **more})


async def test_tracks_are_found_by_each_of_their_vectors_and_by_no_other(index: TrackIndex) -> None:
    both = with_more(one("both", along(0)), audio=audio(1, 0, 0), cooccurrence=along(5))
    await index.upsert([both, one("sound", along(0)), with_more(one("foreign"), audio=audio(0, 1, 0))])
    assert ids(await index.nearest(along(0), 9)) == ["both", "sound"]
    assert ids(await index.nearest(audio(0, 1, 0), 9, using="audio")) == ["foreign", "both"]
    assert ids(await index.nearest(along(5), 9, using=COOCCURRENCE)) == ["both"]
    assert (await index.vectors(["both", "sound", "foreign"], using="audio")).keys() == {"both", "foreign"}
    assert (await index.fetch(["both"], with_vectors=True))["both"].vectors.keys() == DIMENSIONS.keys()


async def test_writing_one_vector_leaves_all_else_of_a_track_as_it_is(index: TrackIndex) -> None:
    tracks = some_tracks(90)
    await index.upsert(tracks)
    before = await index.fetch([track.track.track_id for track in tracks], with_vectors=True)
    given = {f"t{n:03d}": along(n % 64) for n in range(0, 90, 2)}
    assert await index.update_vectors(COOCCURRENCE, {**given, "nobody": along(1)}) == given.keys()
    after = await index.fetch(list(before), with_vectors=True)
    for track_id, old in before.items():
        expected = {**old.vectors, **({COOCCURRENCE: given[track_id]} if track_id in given else {})}
        assert after[track_id].track == old.track
        assert {name: v.tolist() for name, v in after[track_id].vectors.items()} == {
            name: v.tolist() for name, v in expected.items()
        }
    assert await index.count() == 90
    assert {hit.track.track_id for hit in await index.nearest(along(2), 90, using=COOCCURRENCE)} == given.keys()
    assert await index.update_vectors(COOCCURRENCE, {"t001": along(9), "t000": along(9)}) == {"t000", "t001"}
    assert ids(await index.nearest(along(9), 2, using=COOCCURRENCE)) == ["t000", "t001"]
    assert await index.update_vectors(COOCCURRENCE, {}) == set()


async def test_what_was_learned_of_a_track_outlives_its_records_but_not_the_track(index: TrackIndex) -> None:
    await index.upsert([with_more(one("t", along(0), updated_at_ms=5), audio=audio(1, 0, 0))])
    await index.update_vectors(COOCCURRENCE, {"t": along(3)})
    await index.upsert([one("t", along(1), title="New", updated_at_ms=6), one("u", along(2))])
    found = (await index.fetch(["t"], with_vectors=True))["t"]
    assert found.track.title == "New"
    assert {name: v.tolist() for name, v in found.vectors.items()} == {
        ACOUSTIC: along(1).tolist(),
        COOCCURRENCE: along(3).tolist(),
    }
    await index.upsert([with_more(one("t", title="Newer", updated_at_ms=7), cooccurrence=along(4))])
    found = (await index.fetch(["t"], with_vectors=True))["t"]
    assert {name: v.tolist() for name, v in found.vectors.items()} == {COOCCURRENCE: along(4).tolist()}
    await index.withdraw(["t"])
    await index.upsert([one("t", along(1))])
    assert await index.vectors(["t", "u"], using=COOCCURRENCE) == {}


ORDERED = (
    NO_FILTER,
    TrackFilter(genres_any=("rock",)),
    TrackFilter(genres_any=("rock", "jazz")),
    TrackFilter(artists_any=("a",)),
    TrackFilter(artists_any=("a",), genres_any=("pop", "jazz")),
    TrackFilter(artists_none=("b",)),
)


async def test_any_order_of_writes_leaves_what_plain_arithmetic_leaves(index: TrackIndex) -> None:
    draw, rng, oracle = random.Random(11), np.random.default_rng(11), BruteIndex()
    names = [f"t{n}" for n in range(12)]
    for _ in range(120):
        chosen = draw.sample(names, draw.randint(1, 4))
        match draw.choice(["upsert", "upsert", "learn", "withdraw"]):
            case "upsert":
                tracks = [
                    with_more(
                        one(
                            name,
                            unit(rng) if draw.random() < 0.6 else None,
                            updated_at_ms=draw.randint(0, 9),
                            artist=draw.choice("ab"),
                            genres=tuple(draw.sample(["rock", "pop", "jazz"], draw.randint(0, 2))),
                            popularity=float(draw.randint(0, 99)),
                        ),
                        **({"audio": audio(0, 0, 1)} if draw.random() < 0.5 else {}),
                        **({COOCCURRENCE: unit(rng)} if draw.random() < 0.3 else {}),
                    )
                    for name in chosen
                ]
                await index.upsert(tracks)
                await oracle.upsert(tracks)
            case "learn":
                learned = {name: unit(rng) for name in chosen}
                assert await index.update_vectors(COOCCURRENCE, learned) == await oracle.update_vectors(
                    COOCCURRENCE, learned
                )
            case "withdraw":
                await index.withdraw(chosen[:1])
                await oracle.withdraw(chosen[:1])
        found = await index.fetch(names, with_vectors=True)
        assert plain(found) == plain(await oracle.fetch(names, with_vectors=True))
        for where in ORDERED:
            assert await index.most_popular(20, where) == await oracle.most_popular(20, where)


def plain(found: dict[str, IndexedTrack]) -> dict[str, Any]:
    return {i: (o.track, {name: v.tolist() for name, v in o.vectors.items()}) for i, o in found.items()}


def ids(hits: list[Any]) -> list[str]:
    return [hit.track.track_id for hit in hits]


@pytest.mark.parametrize("bad", [np.full(64, np.nan), np.ones(63)])
async def test_learned_vector_that_is_none_is_refused_before_anything_is_written(index: TrackIndex, bad: Any) -> None:
    await index.upsert([one("t", along(0)), one("u", along(0))])
    with pytest.raises(ValueError, match="expected"):
        await index.update_vectors(COOCCURRENCE, {"t": along(1), "u": bad.astype(np.float32)})
    with pytest.raises(ValueError, match="nameless"):
        await index.update_vectors("nameless", {"t": along(1)})
    assert await index.vectors(["t", "u"], using=COOCCURRENCE) == {}


async def test_nothing_asked_is_nothing_done(index: TrackIndex) -> None:
    await index.upsert([])
    await index.withdraw([])
    assert await index.fetch([]) == {}
    assert await index.nearest(along(0), 5) == []
    await index.upsert([one("t", along(0))])
    assert await index.nearest(along(0), 0) == []
    assert await index.most_popular(0) == []
    assert await index.newest(0) == []
    assert await index.matching(NO_FILTER, 0) == []
    await index.flush()


async def titles(index: TrackIndex, *track_ids: str) -> list[str]:
    found = await index.fetch(track_ids)
    return [found[track_id].track.title for track_id in track_ids]


# What only the index in this process promises.


async def test_second_owner_is_refused(tmp_path: Path) -> None:
    first = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    with pytest.raises(IndexUnavailable, match="only owner"):
        EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    await first.close()
    await EdgeIndex.open(tmp_path, dimensions=DIMENSIONS).close()


async def test_index_of_other_vectors_is_refused(tmp_path: Path) -> None:
    await EdgeIndex.open(tmp_path, dimensions=DIMENSIONS).close()
    with pytest.raises(IndexUnavailable, match="32"):
        EdgeIndex.open(tmp_path, dimensions={ACOUSTIC: 32})


async def test_index_without_the_vectors_of_today_opens_with_all_that_it_holds(tmp_path: Path) -> None:
    tracks = some_tracks(30)
    old = EdgeIndex.open(tmp_path, dimensions={ACOUSTIC: 64})
    await old.upsert(tracks)
    await old.close()
    for axis in (1, 2):
        index = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
        found = await index.fetch([track.track.track_id for track in tracks], with_vectors=True)
        assert {one.track.track_id: one.track for one in tracks} == {i: one.track for i, one in found.items()}
        assert sum(ACOUSTIC in one.vectors for one in found.values()) == 27
        await index.update_vectors(COOCCURRENCE, {"t001": along(axis)})
        assert ids(await index.nearest(along(axis), 5, using=COOCCURRENCE)) == ["t001"]
        await index.close()


def clustered(count: int) -> list[IndexedTrack]:
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(50, 64))
    vectors = centres[rng.integers(0, 50, count)] + 0.6 * rng.normal(size=(count, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return [one(f"t{n:05d}", vector) for n, vector in enumerate(vectors)]


async def while_optimising(index: EdgeIndex, write: Callable[[int], Any]) -> int:
    """Optimise, and write all along; how many writes there were."""
    optimising = asyncio.create_task(index.optimise())
    count = 0
    while not optimising.done():
        await write(count)
        count += 1
        await asyncio.sleep(0.01)
    await optimising
    return count


async def test_optimised_index_finds_the_same_and_keeps_what_was_written_meanwhile(tmp_path: Path) -> None:
    tracks = clustered(12_000)
    index = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    await index.upsert(tracks)
    assert index.unoptimised == 12_000
    gone = iter([track.track.track_id for track in tracks[-5_000:]])

    async def write(n: int) -> None:
        await index.upsert([one(f"meanwhile{n}", along(n % 64))])
        await index.withdraw([next(gone)])

    written = await while_optimising(index, write)
    assert written > 3
    # One that came and one that went each time; all others are in the graph.
    assert index.unoptimised <= 2 * written
    assert await index.count() == 12_000
    assert len(await index.fetch([f"meanwhile{n}" for n in range(written)])) == written
    shares = []
    for query in tracks[:20]:
        vector = query.vectors[ACOUSTIC]
        exact = {hit.track.track_id for hit in await index.nearest(vector, 100, exact=True)}
        shares.append(len(exact & {hit.track.track_id for hit in await index.nearest(vector, 100)}) / 100)
    assert np.mean(shares) >= 0.95
    await index.close()
    again = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    assert await again.count() == 12_000
    assert len(list(tmp_path.glob("shard-*"))) == 1
    await again.close()


async def test_what_is_read_ahead_is_what_is_stored_and_gives_way_to_what_is_written(tmp_path: Path) -> None:
    index = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    tracks = some_tracks(200)
    await index.upsert(tracks)
    await index.close()
    again = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    warming = asyncio.create_task(again.warm_up())
    await asyncio.sleep(0)
    await again.upsert([one("t007", along(2), title="Newer", updated_at_ms=999), one("t199", updated_at_ms=999)])
    await again.withdraw(["t008", "t198"])
    await warming
    found = await again.fetch([track.track.track_id for track in tracks])
    assert len(found) == 198
    assert found["t007"].track.title == "Newer"
    assert found["t007"].vectors[ACOUSTIC].tolist() == along(2).tolist()
    assert found["t199"].vectors == {}
    for track in tracks[9:198]:
        assert found[track.track.track_id].track == track.track
        assert found[track.track.track_id].vectors.keys() == track.vectors.keys()
    await again.close()


async def test_the_best_known_tracks_of_artists_are_the_same_from_memory_and_from_the_engine(tmp_path: Path) -> None:
    """Whatever was written anew, by another artist, of another popularity, and withdrawn before."""
    rng = np.random.default_rng(4)
    stars = rng.permutation(400).tolist()

    def drawn(number: int, stamp: int) -> IndexedTrack:
        names = rng.choice(list("abcdef"), int(rng.integers(1, 3)), replace=False).tolist()
        artists = tuple(ArtistRef(artist_id=name) for name in names)
        popularity = stars.pop() / 4
        return IndexedTrack(CataloguedTrack(f"t{number:03d}", "T", artists, popularity=popularity, updated_at_ms=stamp))

    index = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    await index.upsert([drawn(number, 1) for number in range(200)])
    await index.upsert([drawn(number, 2) for number in range(0, 200, 3)])
    await index.withdraw([f"t{number:03d}" for number in range(0, 200, 7)])
    asked = [
        (limit, TrackFilter(artists_any=wanted, artists_none=barred))
        for limit in (1, 5, 30, 500)
        for wanted, barred in ((("a",), ()), (("b", "f", "x"), ()), (("a", "b", "c"), ("d",)), (("x",), ()))
    ]
    from_memory = [await index.most_popular(*one) for one in asked]
    await index.close()
    again = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    from_engine = [await again.most_popular(*one) for one in asked]
    assert from_memory == from_engine
    assert [len(found) for found in from_memory[:4]] == [1, 1, 1, 0]
    await again.warm_up()
    assert [await again.most_popular(*one) for one in asked] == from_engine
    await again.close()


async def _the_same(index: EdgeIndex, path: Path) -> EdgeIndex:
    return index


async def _opened_again(index: EdgeIndex, path: Path) -> EdgeIndex:
    await index.close()
    return EdgeIndex.open(path, dimensions=DIMENSIONS)


async def _read_ahead(index: EdgeIndex, path: Path) -> EdgeIndex:
    again = await _opened_again(index, path)
    await again.warm_up()
    return again


async def _with_a_vector_written_alone(index: EdgeIndex, path: Path) -> EdgeIndex:
    await index.update_vectors(ACOUSTIC, {"t010": along(3)})
    return index


@pytest.mark.parametrize("kept", [300_000, 40])
@pytest.mark.parametrize("then", [_the_same, _opened_again, _read_ahead, _with_a_vector_written_alone])
async def test_what_is_stored_is_found_whether_it_is_kept_in_memory_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: Callable[..., Any], kept: int
) -> None:
    monkeypatch.setattr("recall.index.edge.Encoded", lambda: Encoded(kept))
    index = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    tracks = [one(f"t{n:03}", along(n % 64), title="Stored", updated_at_ms=500) for n in range(100)]
    await index.upsert(tracks)
    await index.update_vectors(COOCCURRENCE, {"t010": along(9)})
    index = await then(index, tmp_path)
    await index.withdraw(["t020"])
    await index.upsert([one(track.track.track_id, along(0), title="Older", updated_at_ms=400) for track in tracks])
    await index.upsert([one("t010", along(1), title="Newer", updated_at_ms=600)])
    assert await index.update_vectors(COOCCURRENCE, {"t011": along(7), "nobody": along(7)}) == {"t011"}
    found = await index.fetch([*(track.track.track_id for track in tracks), "nobody"], with_vectors=True)
    assert len(found) == 100
    titles = {track_id: known.track.title for track_id, known in found.items()}
    assert titles.pop("t010") == "Newer"
    assert titles.pop("t020") == "Older"
    assert set(titles.values()) == {"Stored"}
    assert found["t010"].vectors[COOCCURRENCE].tolist() == along(9).tolist()
    assert found["t011"].vectors[COOCCURRENCE].tolist() == along(7).tolist()
    await index.close()


async def test_optimisation_that_fails_leaves_the_index_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = EdgeIndex.open(tmp_path, dimensions=DIMENSIONS)
    await index.upsert(clustered(100))
    monkeypatch.setattr("recall.index.edge.optimise_copy", _fail)
    with pytest.raises(IndexUnavailable, match="no luck"):
        await index.optimise()
    await index.upsert([one("after", along(0))])
    assert await index.count() == 101
    assert len(list(tmp_path.glob("shard-*"))) == 1
    await index.close()


async def _fail(shard: Path) -> None:
    raise IndexUnavailable("no luck")
