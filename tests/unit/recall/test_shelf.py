"""Tables behind channels: what they propose, what they judge, and what they do not know."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from models.collaborative import learn
from models.prior import Folds, examples, train_prior
from models.tables import Tables, ordered
from recall.channels import ArtistNeighbours, Factors, Neighbours
from recall.channels.protocol import Channel
from recall.columns import columns_of, first_name, year_of
from recall.judged import judged
from recall.merge import Merged
from recall.person import NOBODY
from recall.pipeline import Recommender
from recall.query import RecallQuery, Start, build_query
from recall.ranking_features import COLUMN
from recall.shelf import Shelf
from recall.tracks import CataloguedTrack, IndexedTrack
from tests.brute_index import BruteIndex
from tests.unit.recall.test_pipeline import NoPlaylists
from topics.records import ArtistRef, RecommendationRequest, Seed

EACH, GROUPS = 24, 6


def made(number: int, **fields: object) -> CataloguedTrack:
    artist = f"Artist {number // 4}"
    return CataloguedTrack(
        track_id=f"t{number}",
        title=f"Title {number}",
        artists=(ArtistRef(artist_id=artist, name=artist),),
        genres=(f"genre {number // EACH}",),
        **fields,
    )


TRACKS = [made(number) for number in range(GROUPS * EACH)]
NEW = CataloguedTrack(
    track_id="new",
    title="New",
    artists=(ArtistRef(artist_id="Artist 0", name="Artist 0"),),
    genres=("genre 0",),
)


def silent(count: int) -> np.ndarray:
    return np.zeros((count, 64), np.float32)


@pytest.fixture(scope="module")
def tables() -> Tables:
    order = ordered([track.track_id for track in TRACKS])
    place = np.argsort(order)
    rng = np.random.default_rng(1)
    lists = [place[rng.permutation(EACH)[:12] + EACH * (at % GROUPS)] for at in range(90)]
    items = columns_of([TRACKS[at] for at in order.tolist()], silent(len(TRACKS)))
    prior = train_prior(examples(items, lists, Folds(1)), seed=1)
    return Tables([TRACKS[at].track_id for at in order.tolist()], learn(items, lists), prior)


def query(*numbers: int) -> RecallQuery:
    starts = [Start(IndexedTrack(TRACKS[number]), 1.0) for number in numbers]
    request = RecommendationRequest(request_id="r", seeds=tuple(Seed(track_id=f"t{number}") for number in numbers))
    return build_query(request, NOBODY, starts, (), now_ms=0)


def groups(track_ids: list[str]) -> set[int]:
    return {int(one[1:]) // EACH for one in track_ids}


@pytest.mark.parametrize("channel", [ArtistNeighbours, Neighbours, Factors])
async def test_channels_find_what_stands_with_the_starts_and_only_what_is_there(
    tables: Tables, channel: type[Channel]
) -> None:
    gone = "t26"
    index = BruteIndex([IndexedTrack(track) for track in TRACKS if track.track_id != gone])
    asking = query(EACH, EACH + 5)
    found = await channel(index, Shelf(tables)).candidates(asking, 12)  # type: ignore[call-arg]
    ids = [one.track.track_id for one in found]
    assert 9 <= len(ids) == len(set(ids)) <= 12
    assert groups(ids) == {1}
    assert not {gone, f"t{EACH}", f"t{EACH + 5}"} & set(ids)
    assert all(set(one.because) <= {f"t{EACH}", f"t{EACH + 5}"} and one.because for one in found)
    assert await channel(index, Shelf()).candidates(asking, 12) == []  # type: ignore[call-arg]
    assert await channel(index, Shelf(tables)).candidates(query(), 12) == []  # type: ignore[call-arg]


async def test_an_artist_is_explained_by_the_start_whose_artist_speaks_for_it(tables: Tables) -> None:
    index = BruteIndex([IndexedTrack(track) for track in TRACKS])
    found = await ArtistNeighbours(index, Shelf(tables)).candidates(query(0, EACH), 30)
    for one in found:
        assert groups([one.track.track_id]) == groups(list(one.because))
        same = one.track.artists[0].name == TRACKS[int(one.because[0][1:])].artists[0].name
        assert one.reason.startswith("More by" if same else "Artists that go with Artist")


def test_a_candidate_that_the_tables_do_not_know_is_judged_by_what_is_known_of_it(tables: Tables) -> None:
    shelf, asking = Shelf(tables), query(1, 2)
    candidates = [NEW, TRACKS[3], TRACKS[EACH * 3], TRACKS[EACH * 5]]
    assert shelf.newcomers(asking, candidates) == ["new"]
    new, near, *far = shelf.scores(asking, candidates, {}).tolist()
    assert min(new, near) > max(far)


def test_together_is_the_greatest_cosine_of_factors_to_a_start(tables: Tables) -> None:
    shelf, asking = Shelf(tables), query(1, EACH + 1)
    candidates = [TRACKS[2], NEW, TRACKS[EACH * 3], TRACKS[1], TRACKS[EACH + 2]]
    factors = dict(zip(tables.track_ids, tables.learned.factors.astype(float), strict=True))

    def cosine(one: str, other: str) -> float:
        return float(factors[one] @ factors[other] / np.linalg.norm(factors[one]) / np.linalg.norm(factors[other]))

    by_hand = [
        max(0.0, *(cosine(one.track_id, start) for start in ("t1", f"t{EACH + 1}"))) if one is not NEW else 0.0
        for one in candidates
    ]
    found, _ = shelf.by_lists(asking, {}, candidates)
    assert found == pytest.approx(by_hand, abs=1e-5)
    assert found[3] == pytest.approx(1.0)
    assert min(found[0], found[4]) > found[2] + 0.3
    # One that the tables do not know is not taken for their first, nor for any other.
    for start in (tables.track_ids[0], tables.track_ids[-1]):
        assert [one.tolist() for one in shelf.by_lists(query(int(start[1:])), {start: 1.0}, [NEW])] == [[0.0], [0.0]]


def test_leaning_by_lists_sums_cosines_by_their_weights(tables: Tables) -> None:
    shelf, weights = Shelf(tables), {"t1": 0.25, f"t{EACH * 3}": -0.5, "new": 0.9, "gone": 1.0}
    factors = dict(zip(tables.track_ids, tables.learned.factors.astype(float), strict=True))
    units = {one: factor / np.linalg.norm(factor) for one, factor in factors.items()}
    candidates = [TRACKS[2], NEW, TRACKS[EACH * 3 + 1]]
    by_hand = [
        0.25 * units[one.track_id] @ units["t1"] - 0.5 * units[one.track_id] @ units[f"t{EACH * 3}"]
        if one is not NEW
        else 0.0
        for one in candidates
    ]
    _, found = shelf.by_lists(query(1), weights, candidates)
    assert found == pytest.approx(by_hand, abs=1e-5)
    assert found[0] > 0.1 > -0.1 > found[2]


def test_tracks_where_somebody_leans_are_those_of_the_greatest_sums_and_none_that_made_it(tables: Tables) -> None:
    weights = {"t1": 0.25, f"t{EACH * 3}": -0.5, "new": 0.9, "gone": 1.0}
    factors = dict(zip(tables.track_ids, tables.learned.factors.astype(float), strict=True))
    units = {one: factor / np.linalg.norm(factor) for one, factor in factors.items() if factor.any()}
    sums = {one: unit @ (0.25 * units["t1"] - 0.5 * units[f"t{EACH * 3}"]) for one, unit in units.items()}
    expected = sorted((one for one in sums if one not in weights and sums[one] > 0), key=sums.__getitem__, reverse=True)
    for most in (7, 40):
        found = Shelf(tables).toward(query(1), weights, most)
        assert [sums[one] for one in found] == pytest.approx([sums[one] for one in expected[:most]], abs=1e-6)
        assert len(set(found) - weights.keys()) == len(found)
    assert min(sums[one] for one in Shelf(tables).toward(query(1), weights, 1_000)) > -1e-6
    nothing = Tables(tables.track_ids, learn(tables.learned.items, []))
    for shelf, asking in ((Shelf(), query(1)), (Shelf(tables), query()), (Shelf(nothing), query(1))):
        assert shelf.toward(asking, weights, 7) == []
    assert Shelf(tables).toward(query(1), {"new": 1.0}, 7) == []


def test_nothing_stands_together_where_no_list_was_learned_from(tables: Tables) -> None:
    candidates = [TRACKS[2], NEW]
    nothing = Tables(tables.track_ids, learn(tables.learned.items, []))
    for shelf, asking in ((Shelf(), query(1)), (Shelf(tables), query()), (Shelf(nothing), query(1))):
        assert [one.tolist() for one in shelf.by_lists(asking, {"t1": 1.0}, candidates)] == [[0.0, 0.0]] * 2


def test_who_began_with_tables_ends_with_them(tables: Tables) -> None:
    shelf, asking = Shelf(tables), query(1)
    before = shelf.asked(asking)
    shelf.put(Tables([], learn(columns_of([], silent(0)), [])))
    assert shelf.asked(asking) is before or shelf.asked(asking) == before
    assert not shelf.judges(query(2))


def test_the_term_follows_the_rank_and_keeps_the_sum() -> None:
    candidates = [Merged(track, {}, {"acoustic": 0.25}, {}) for track in TRACKS[:3]]
    terms = [one.contributions["prior"] for one in judged(candidates, np.array([-4.0, 2.0, -9.0], np.float32))]
    assert terms == pytest.approx([1.5 * 60 / 61, 1.5, 1.5 * 60 / 62])
    assert judged(candidates, np.zeros(3, np.float32))[0].score == pytest.approx(0.25 + 1.5)


async def test_answers_with_tables_stay_with_what_stands_together(tables: Tables) -> None:
    index, shelf = BruteIndex([IndexedTrack(track) for track in [*TRACKS, NEW]]), Shelf(tables)
    channels = [ArtistNeighbours(index, shelf), Neighbours(index, shelf), Factors(index, shelf)]
    recommender = Recommender(index, NoPlaylists(), channels, shelf=shelf)
    request = RecommendationRequest(request_id="r", seeds=(Seed(track_id="t0"),), limit=8)
    answer = await recommender.answer(request, NOBODY, now_ms=0, deadline_s=asyncio.get_running_loop().time() + 5)
    assert groups([one.track.track_id for one in answer.items]) == {0}
    assert all("prior" in one.contributions for one in answer.items)
    together = [features[COLUMN["together"]] for features in answer.shown.items_logged()]
    by_hand, _ = shelf.by_lists(query(0), {}, [one.track for one in answer.items])
    assert together == pytest.approx(by_hand.tolist(), abs=1e-3)
    assert min(together) > 0.5


def test_columns() -> None:
    joined = CataloguedTrack(
        track_id="x", title="x", artists=(ArtistRef(name="Beyoncé, Jay-Z"),), release_date="2003-07"
    )
    assert first_name(joined) == "beyonce"
    assert year_of("2003-07-09") == year_of("2003-07") == 2003.5
    nothing = columns_of([CataloguedTrack(track_id="x", title="x")], silent(1))
    assert nothing.artists.tolist() == nothing.albums.tolist() == [0]
    assert np.isnan([nothing.popularity[0], nothing.years[0]]).all()
