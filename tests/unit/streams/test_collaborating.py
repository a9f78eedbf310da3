"""From a catalogue and lists to tables, whatever the lists look like."""

from __future__ import annotations

import numpy as np
import pytest

from models.collaborative import LIST_MAX
from models.embeat_mlp import Config, EmbeatMLP
from models.network import Network, frozen
from recall.tracks import CataloguedTrack
from streams.collaborating import rows_in, tables_from
from streams.logged import by_person
from topics.records import ArtistRef

TRACKS = [
    CataloguedTrack(track_id=f"t{at}", title=f"T{at}", artists=(ArtistRef(name=f"Artist {at // 4}"),))
    for at in range(80)
]


@pytest.fixture(scope="module")
def model() -> EmbeatMLP:
    return frozen(Network(Config()), "untrained")


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


def test_listeners_are_learned_from_apart_from_the_lists_by_what_they_heard_last(model: EmbeatMLP) -> None:
    heard = [["t1", "t2", "t1", "nowhere"], ["t2", "t1"], ["t5"]]
    found = tables_from(TRACKS, lists(60), model, seed=1, manifest={}, listeners=heard)
    assert (found.manifest["lists"], found.manifest["listeners"]) == (60, 2)
    assert found.listeners is not None
    rows, _, _ = found.listeners.candidates(found.rows(["t1"]), np.ones(1, np.float32), 9)
    assert [found.track_ids[row] for row in rows.tolist()] == ["t2"]
    assert tables_from(TRACKS, lists(60), model, seed=1, manifest={}).listeners is None


def test_what_somebody_heard_is_one_list_over_all_their_sessions() -> None:
    sessions = [(b"ada", ("t1", "t2")), (b"bo", ("t3",)), (None, ("t9",)), (b"cy", ()), (b"ada", ("t4",))]
    assert by_person(sessions) == [["t3"], ["t1", "t2", "t4"]]
