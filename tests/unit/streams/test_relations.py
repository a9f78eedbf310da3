from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from recall.errors import ChannelUnavailable
from streams import relations as module
from streams.errors import StoreUnavailable
from streams.relations import KEPT_AT_MOST_S, KEPT_S, ArtistRelations
from topics.records import Artist


class Store:
    def __init__(self) -> None:
        self.known = {"a": Artist(artist_id="a", related=("b", "c")), "b": Artist(artist_id="b")}
        self.asked: list[list[str]] = []
        self.away = False

    async def artists(self, artist_ids: Sequence[str]) -> Mapping[str, Artist]:
        if self.away:
            raise StoreUnavailable("away")
        self.asked.append(list(artist_ids))
        return {one: self.known[one] for one in artist_ids if one in self.known}


async def test_what_was_asked_lately_is_not_asked_again_and_what_changed_is_seen_soon() -> None:
    store, now = Store(), [0.0]
    relations = ArtistRelations(store, lambda: now[0])
    assert await relations.related(["a", "b", "x"]) == {"a": ("b", "c"), "b": (), "x": ()}
    store.known["a"] = Artist(artist_id="a", related=("d",))
    now[0] = KEPT_S
    assert (await relations.related(["a"]))["a"] == ("b", "c")
    assert store.asked == [["a", "b", "x"]]
    now[0] = KEPT_S + 0.1
    assert (await relations.related(["a"]))["a"] == ("b", "c")
    await asyncio.sleep(0)
    assert store.asked == [["a", "b", "x"], ["a"]]
    assert (await relations.related(["a"]))["a"] == ("d",)
    store.known["a"] = Artist(artist_id="a", related=("e",))
    now[0] += KEPT_AT_MOST_S + 0.1
    assert (await relations.related(["a"]))["a"] == ("e",)
    assert store.asked[2:] == [["a"]]


async def test_relations_outlive_a_store_that_is_away_for_a_while() -> None:
    store, now = Store(), [0.0]
    relations = ArtistRelations(store, lambda: now[0])
    await relations.related(["a"])
    store.away = True
    for now[0] in (KEPT_S + 0.1, KEPT_AT_MOST_S):
        assert (await relations.related(["a"]))["a"] == ("b", "c")
        await asyncio.sleep(0)
    now[0] = KEPT_AT_MOST_S + 0.1
    with pytest.raises(ChannelUnavailable, match="away"):
        await relations.related(["a"])


async def test_store_that_is_away_makes_the_channel_unavailable() -> None:
    store = Store()
    store.away = True
    with pytest.raises(ChannelUnavailable, match="away"):
        await ArtistRelations(store).related(["a"])


async def test_no_more_artists_than_allowed_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MAX", 2)
    store = Store()
    relations = ArtistRelations(store)
    for one in ("a", "b", "x", "a"):
        await relations.related([one])
    assert store.asked == [["a"], ["b"], ["x"], ["a"]]
