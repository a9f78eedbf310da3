"""From a catalogue and lists to tables, whatever the lists look like."""

from __future__ import annotations

import numpy as np
import pytest

from models.collaborative import LIST_MAX
from models.embeat_mlp import Config, EmbeatMLP, Network
from recall.tracks import CataloguedTrack
from streams.collaborating import rows_in, tables_from
from topics.records import ArtistRef

TRACKS = [
    CataloguedTrack(track_id=f"t{at}", title=f"T{at}", artists=(ArtistRef(name=f"Artist {at // 4}"),))
    for at in range(80)
]


@pytest.fixture(scope="module")
def model() -> EmbeatMLP:
    return EmbeatMLP(Network(Config()), "untrained")


def lists(many: int) -> list[list[str]]:
    rng = np.random.default_rng(1)
    return [[f"t{at + 20 * (one % 4)}" for at in rng.permutation(20)[:10]] for one in range(many)]


def test_a_list_is_its_first_distinct_tracks_that_the_catalogue_holds() -> None:
    places = {f"t{at}": at for at in range(5_000)}
    assert rows_in(["t3", "nowhere", "t3", "t1"], places).tolist() == [3, 1]
    assert rows_in(["t7"] * 100, places).tolist() == [7]
    assert rows_in(list(places), places).tolist() == list(range(LIST_MAX))
    assert rows_in([], places).tolist() == []


def test_lists_of_nothing_or_one_track_or_unknown_ones_count_for_nothing(model: EmbeatMLP) -> None:
    odd = [[], ["t1"], ["t1"] * 9, ["unknown", "t2"]]
    plain = tables_from(TRACKS, lists(60), model, seed=1, manifest={})
    same = tables_from(TRACKS, [*odd, *lists(60)], model, seed=1, manifest={})
    assert same.manifest["lists"] == plain.manifest["lists"] == 60
    assert (same.learned.lists != plain.learned.lists).nnz == 0
    assert plain.prior is not None


def test_a_catalogue_without_lists_has_tables_without_a_prior(model: EmbeatMLP) -> None:
    found = tables_from(TRACKS, [], model, seed=1, manifest={"offsets": {}})
    assert found.prior is None
    assert found.rows(["t5", "nowhere"]).tolist() == [list(found.track_ids).index("t5"), -1]
    nothing = tables_from([], lists(3), model, seed=1, manifest={})
    assert nothing.rows(["t5"]).tolist() == [-1]


def test_the_same_log_gives_the_same_answers(model: EmbeatMLP) -> None:
    one, other = (tables_from(TRACKS, lists(60), model, seed=1, manifest={}) for _ in range(2))
    assert one.prior is not None
    assert other.prior is not None
    assert one.prior.text == other.prior.text
