"""What each place where lists are shown makes of one person's taste."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from recall.channels import Anchors, FreshNearby
from recall.merge import WEIGHTS
from recall.mixes import mixes
from recall.person import Anchor, Person
from recall.query import Start
from recall.surfaces import SURFACES, Surface, surface_of
from recall.tracks import IndexedTrack
from tests.unit.recall.test_pipeline import CATALOGUE, DAY, NOW, ask, ids, recommender
from tests.unit.recall.tracks import at, track

# Two kinds of music, six tracks each, at 0 and at 180 degrees; the first weighs more.
PERSON = Person(
    anchors=(
        *(Anchor(f"t{n}", 2.0, NOW) for n in range(6)),
        *(Anchor(f"t{50 + n}", 1.0, NOW) for n in range(6)),
    ),
    followed_artists=("artist7",),
)


def far_side(found: list[str]) -> float:
    """The share of tracks on the side of 180 degrees."""
    return float(np.mean([5 <= int(one[1:]) // 5 < 15 for one in found]))


async def test_each_daily_mix_is_of_one_pocket_and_there_are_no_more_than_pockets() -> None:
    made = recommender(CATALOGUE)
    lists = [ids(await ask(made, PERSON, surface="daily_mix", mix=mix, limit=8, breadth=0.0)) for mix in range(4)]
    assert sorted(far_side(found) for found in lists) == [0.0, 0.0, 1.0, 1.0]
    assert far_side(ids(await ask(made, PERSON, surface="daily_mix", limit=8, breadth=0.0))) == 0.0  # the heaviest
    beyond = await ask(made, PERSON, surface="daily_mix", mix=4, limit=8)
    assert (beyond.items, beyond.notes) == ((), ("0 tracks: expected a mix from 0 to 3, got 4",))
    # Elsewhere, and from seeds, there are no mixes.
    assert len(ids(await ask(made, PERSON, surface="top_mixes", mix=4, limit=8))) == 8


def test_mixes_are_a_third_of_the_starts_and_unknown_sounds_are_one() -> None:
    starts = [Start(at(120 * (n % 3) + n, f"t{n}"), 1.0) for n in range(9)]
    assert [sorted(start.track.track_id for start in one) for one in mixes(starts)] == [
        ["t0", "t3", "t6"],
        ["t1", "t4", "t7"],
        ["t2", "t5", "t8"],
    ]
    assert len(mixes(starts[:5])) == 1
    silent = [Start(IndexedTrack(track(f"s{n}")), 1.0) for n in range(5)]
    assert mixes(silent) == [tuple(silent)]


async def test_release_radar_is_releases_of_followed_and_loved_artists_first_and_nothing_else() -> None:
    new = [
        at(18 * artist + 7, f"new{artist}", f"artist{artist}", genres=("rock",), release_date="2023-11-10")
        for artist in (0, 7, 12)
    ]
    old = [rock(one) for one in CATALOGUE]
    made = recommender([*old, *new])
    made = type(made)(made.index, made.playlists, [*made.channels, FreshNearby(made.index)], texts=made.texts)
    answer = await ask(made, PERSON, surface="release_radar", limit=10)
    assert set(ids(answer)) == {"new0", "new7", "new12"}
    assert ids(answer)[2] == "new12"  # by nobody that they follow or love, but of their genre
    assert answer.items[0].reasons["fresh"] in {"New release by Name artist0", "New release by Name artist7"}
    assert answer.notes[0].startswith("3 of 10 tracks")


def rock(one: IndexedTrack) -> IndexedTrack:
    return IndexedTrack(replace(one.track, genres=("rock",), release_date="2001"), one.vectors)


async def test_discovery_holds_nothing_of_what_they_like_and_a_mix_of_hits_may() -> None:
    made = recommender(CATALOGUE, Anchors())
    hits = await ask(made, PERSON, surface="top_mixes", limit=20)
    liked = {anchor.track_id for anchor in PERSON.anchors}
    assert any("anchors" in one.ranks for one in hits.items)
    found = await ask(made, PERSON, surface="discover_weekly", limit=20)
    assert not any("anchors" in one.ranks for one in found.items)
    heard = Person(anchors=PERSON.anchors, heard=dict.fromkeys(liked, NOW - DAY))
    assert not liked & set(ids(await ask(made, heard, surface="top_mixes", limit=20)))


@pytest.mark.parametrize("name", SURFACES)
def test_weights_name_channels_that_there_are_and_lists_that_lead_all_asked_score_one(name: str) -> None:
    surface = surface_of(name)  # type: ignore[arg-type]
    assert surface.weights.keys() <= WEIGHTS.keys()
    weighed = surface.weighed(WEIGHTS)
    assert weighed.keys() == {one for one in WEIGHTS if surface.asks(one)}
    assert all(weight > 0 for weight in weighed.values())


def test_weight_is_times_the_usual_and_none_is_not_asked() -> None:
    one = Surface(weights={"a": 2.0, "b": 0.0})
    assert one.weighed({"a": 0.5, "b": 1.0, "c": 3.0}) == {"a": 1.0, "c": 3.0}
    assert (one.asks("b"), one.asks("unheard of")) == (False, True)
