from __future__ import annotations

import pytest

from recall.channels import Allowance
from recall.ranking_features import CHANNELS
from recall.shelf import Shelf
from streams.channels import open_channels
from streams.errors import SettingInvalid
from streams.plays import PlayBoard
from streams.settings import read_settings
from tests.brute_index import BruteIndex


def opened(text: str) -> tuple[list[str], dict[str, Allowance]]:
    board = PlayBoard(None, BruteIndex())  # type: ignore[arg-type]
    settings = read_settings({"THROUGHBEAT_CHANNELS": text})
    channels, allowances = open_channels(settings, BruteIndex(), board, None, Shelf(), None)  # type: ignore[arg-type]
    return [one.name for one in channels], allowances


ALL = [
    *(
        "acoustic",
        "playlist",
        "same_artist",
        "similar_artists",
        "artist_neighbours",
        "neighbours",
        "factors",
        "session_neighbours",
        "listeners",
    ),
    *("fresh", "fresh_nearby", "genre_popular", "rising", "anchors", "leaning", "described"),
]


def test_all_channels_are_on_unless_said_otherwise() -> None:
    assert opened("")[0] == ALL


def test_channels_are_switched_off_and_bounded_by_name() -> None:
    names, allowances = opened("rising=off, acoustic=100/50,fresh=3")
    assert names == [name for name in ALL if name != "rising"]
    assert allowances["acoustic"] == Allowance(100, 0.05)
    assert allowances["fresh"] == Allowance(3, None)
    assert allowances["similar_artists"].within_s is not None


@pytest.mark.parametrize("text", ["rising", "rising=on", "rising=0", "rising=5/", "rising=5/x", "=off", "rising=off;x"])
def test_what_cannot_be_meant_is_refused_with_what_can(text: str) -> None:
    with pytest.raises(SettingInvalid, match=r"THROUGHBEAT_CHANNELS: .*NAME=off"):
        opened(text)


def test_channel_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SettingInvalid, match=r"THROUGHBEAT_CHANNELS: expected acoustic, .*, got loudest"):
        opened("loudest=off")


def test_ranking_learns_a_weight_for_every_channel() -> None:
    assert sorted(opened("")[0]) == sorted(CHANNELS)
