"""Embeddings are measured on what nobody was trained on, and neither trap moves a figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from models.embeat_mlp import Config, EmbeatMLP
from models.features import COLUMNS, table
from models.network import Network, frozen
from recall.tracks import CataloguedTrack
from streams.cli.evaluate import evaluate_app
from streams.embedding_quality import QUERIES_MAX, RAW, compare, measures_of
from streams.labelled import FOLDS, HELD_OUT, RULE, Catalogue, fold_of, labelled
from tests.unit.models.sounds import random_state, sounds
from topics.records import ArtistRef

FIRST, SECOND = HELD_OUT
SEEN = next(fold for fold in range(FOLDS) if fold not in HELD_OUT)


def names(fold: int, many: int) -> list[str]:
    """Artists of one fold."""
    return list(islice((name for name in map("artist {}".format, count()) if fold_of(name) == fold), many))


def track(track_id: str, artist: str, row: int = 0, **fields: object) -> CataloguedTrack:
    heard = HEARD[row % len(HEARD)]
    return CataloguedTrack(
        track_id=track_id,
        title=str(fields.pop("title", f"Title {track_id}")),
        artists=(ArtistRef(artist_id=artist, name=artist),),
        features=heard.features,
        duration_ms=heard.duration_ms,
        **fields,
    )


HEARD = sounds(200)


def catalogue(playlists: Sequence[Sequence[str]] = (), more: Sequence[CataloguedTrack] = ()) -> Catalogue:
    """20 artists of every fold that matters: three tracks each, two on one album, a genre shared by two artists."""
    tracks = [
        track(
            f"{artist}/{number}", artist, at * 3 + number, album_id=f"{artist}/{number // 2}", genres=(f"g{at // 2}",)
        )
        for fold in (FIRST, SECOND, SEEN)
        for at, artist in enumerate(names(fold, 20))
        for number in range(3)
    ]
    return labelled([*tracks, *more], playlists)


def by_artist(found: Catalogue) -> NDArray[np.float32]:
    """Vectors of a model that knows the artist and nothing else."""
    return np.eye(400, dtype=np.float32)[found.artists]


def everything(found: Catalogue) -> NDArray[np.bool_]:
    return np.ones(len(found.tracks), dtype=bool)


def test_shares_are_those_worked_by_hand() -> None:
    found = catalogue()
    measures = measures_of(found, everything(found), 1)
    vectors = by_artist(found)
    assert set(measures) == {"album@10", "artist@10", "genre@10"}
    # Both other tracks of the artist come first. All three tracks may be queries of the artist, the two on one album
    # of the album; ties beyond those two fall on anybody else.
    assert measures["artist@10"].answer(vectors).tolist() == [0.2] * 60
    assert measures["album@10"].answer(vectors).tolist() == [0.1] * 40
    assert (measures["genre@10"].answer(vectors) >= 0.2).all()
    assert {measure.candidates for measure in measures.values()} == {60}


def test_only_artists_of_the_first_fold_are_neighbours_and_only_where_the_label_is_known() -> None:
    unknown = [track(f"single {at}", artist, at) for at, artist in enumerate(names(FIRST, 5))]
    found = catalogue(more=unknown)
    measures = measures_of(found, everything(found), 1)
    assert measures["album@10"].candidates == 60
    assert measures["artist@10"].candidates == 65
    assert len(measures["artist@10"].clusters) == 65
    able = everything(found)
    able[np.flatnonzero(found.folds == FIRST)[:3]] = False
    assert measures_of(found, able, 1)["album@10"].candidates == 57


def test_a_re_release_of_the_query_changes_no_figure() -> None:
    """The second trap. Ten releases of one title, alike in everything, would fill the whole list."""
    artist = names(FIRST, 1)[0]
    again = [track(f"again {at}", artist, 0, title=f"Title {artist}/0 - Remastered {at + 2000}") for at in range(10)]
    found = catalogue(more=again)
    measure = measures_of(found, everything(found), 1)["artist@10"]
    of_artist = measure.clusters == found.artists[-1]
    # Each release meets the artist's two other titles; each of these meets eleven releases and the other.
    answers = measure.answer(by_artist(found))[of_artist]
    assert sorted(answers.tolist()) == [0.2] * 11 + [1.0] * 2


def playlists_of(found: Catalogue) -> list[list[str]]:
    """Of each pair of artists, one known and one new: nine tracks of known artists, then three new ones."""
    known, new = names(SEEN, 20), names(SECOND, 20)
    return [
        [f"{one}/{at}" for one in (known[i], known[i - 1], known[i - 2], new[i]) for at in range(3)] for i in range(20)
    ]


def test_new_tracks_are_found_from_the_rest_of_their_playlist() -> None:
    found = catalogue(playlists_of(catalogue()))
    measures = measures_of(found, everything(found), 1)
    recall = measures["cold recall@50"]
    assert (len(recall.clusters), recall.candidates) == (20, 60)
    rows = {one.track_id: row for row, one in enumerate(found.tracks)}
    vectors = np.zeros((len(rows), 2), np.float32)
    vectors[:, 0] = 1
    wanted = [rows[i] for i in playlists_of(found)[4][-3:]]
    vectors[found.playlists[4]] = [0, 1]
    answers = recall.answer(vectors)
    assert answers[4] == 1
    assert measures["cold NDCG@50"].answer(vectors)[4] == pytest.approx(1)
    vectors[wanted] = [0, -1]
    assert recall.answer(vectors)[4] == 0


def test_tracks_that_only_a_playlist_names_are_neither_candidates_nor_wanted() -> None:
    """The first trap: what is in the catalogue because a playlist wants it would be known for it."""
    lists = playlists_of(catalogue())
    plain = catalogue(lists)
    leaky = catalogue([[*one, f"nowhere {at}"] for at, one in enumerate(lists)])
    for name in ("cold recall@50", "cold NDCG@50"):
        one, other = (measures_of(found, everything(found), 1)[name] for found in (plain, leaky))
        assert one.candidates == other.candidates
        assert (one.answer(by_artist(plain)) == other.answer(by_artist(leaky))).all()


def test_short_playlists_and_those_without_new_tracks_ask_nothing() -> None:
    lists = playlists_of(catalogue())
    found = catalogue([lists[0], lists[1][:9], lists[2][4:], [*lists[3][:9], *lists[4][:9]]])
    # 12 tracks; 9 of known artists; 8, five of which are known; 18 of known artists
    assert len(measures_of(found, everything(found), 1)["cold recall@50"].clusters) == 1


@pytest.mark.parametrize("tracks", [[], [track("1", names(FIRST, 1)[0])]])
def test_a_catalogue_with_too_little_has_no_figures(tracks: list[CataloguedTrack]) -> None:
    found = labelled(tracks, [["1"], []])
    assert measures_of(found, everything(found), 1) == {}


def test_queries_are_drawn_alike_for_one_seed_and_are_no_more_than_stated() -> None:
    artists = names(FIRST, 600)
    many = [track(f"{artist}/{at}", artist, at) for artist in artists for at in range(10)]
    found = labelled(many, [])
    one, again, other = (measures_of(found, everything(found), seed)["artist@10"].clusters for seed in (1, 1, 2))
    assert len(one) == QUERIES_MAX
    assert (one == again).all()
    assert (one != other).any()


@pytest.fixture
def model() -> EmbeatMLP:
    torch.manual_seed(2)
    return frozen(Network(Config()), "drawn", {"held_out": RULE})


def test_each_model_stands_beside_the_first_with_the_difference_of_their_figures(model: EmbeatMLP) -> None:
    torch.manual_seed(3)
    other = frozen(Network(Config(inputs="published")), "other")
    found = compare(catalogue(), [model, other], seed=1)
    assert list(found["models"]) == ["drawn", "other", RAW]
    assert found["unseen"] == {"drawn": True, "other": False}
    for name in ("other", RAW):
        for measure, figure in found["differences"][name].items():
            values = [found["models"][one][measure]["value"] for one in ("drawn", name)]
            assert figure["value"] == pytest.approx(values[0] - values[1], abs=2e-4)
            assert figure["interval"][0] <= figure["value"] <= figure["interval"][1]


def test_a_model_beside_its_equal_differs_by_nothing(model: EmbeatMLP) -> None:
    found = compare(catalogue(), [model, EmbeatMLP(model.config, model.tensors, "again")], seed=1)
    for figure in found["differences"]["again"].values():
        assert figure == {"value": 0, "interval": [0, 0]}


def test_models_meet_on_the_tracks_that_all_can_embed(model: EmbeatMLP) -> None:
    part = HEARD[0].features
    assert part is not None
    partly = CataloguedTrack(
        track_id="p", title="P", features=type(part)(energy=0.5, valence=0.5, tempo=99.0, loudness=-9.0)
    )
    found = catalogue(more=[partly, CataloguedTrack(track_id="mute", title="M")])
    published = frozen(Network(Config(inputs="published")), "other")
    assert compare(found, [model], seed=1)["tracks"] == 181
    assert compare(found, [model, published], seed=1)["tracks"] == 180


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The catalogue as files, and weights of the published format."""
    found = catalogue()
    with (tmp_path / "tracks.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["track_id", "title", "artist_id", "artist_name", "album_id", "genres", *COLUMNS])
        for one in found.tracks:
            cells = ["" if np.isnan(value) else f"{value:g}" for value in table([one])[0]]
            name = one.artists[0].name
            rows.writerow([one.track_id, one.title, name, name, one.album_id, ";".join(one.genres), *cells])
    lines = [f"{at},{track_id}" for at, listed in enumerate(playlists_of(found)) for track_id in listed]
    (tmp_path / "playlists.csv").write_text("\n".join(["playlist_id,track_id", *lines]) + "\n")
    torch.save(random_state(), tmp_path / "embeat_mlp_theirs.pt")
    paths = {"--tracks": "tracks.csv", "--playlists": "playlists.csv", "--beside": "embeat_mlp_theirs.pt"}
    return [word for option, name in paths.items() for word in (option, str(tmp_path / name))]


def test_the_command_prints_one_json_value_for_programs(files: list[str]) -> None:
    result = CliRunner().invoke(evaluate_app, ["embeddings", *files, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    ours, theirs, raw = found["models"]
    assert ours.startswith("2026-")
    assert theirs.startswith("theirs-")
    assert raw == RAW
    assert found["unseen"] == {ours: True, theirs: False}
    assert set(found["data"]) == {"tracks.csv", "playlists.csv"}
    for name in ("album@10", "artist@10", "genre@10", "cold recall@50", "cold NDCG@50"):
        low, high = found["models"][ours][name]["interval"]
        assert low <= found["models"][ours][name]["value"] <= high


def test_the_command_prints_a_table_for_people(files: list[str]) -> None:
    result = CliRunner().invoke(evaluate_app, ["embeddings", *files])
    assert result.exit_code == 0, result.output
    for word in ("album@10", "cold recall@50", "2026-", "theirs-", RAW, "it may have seen these artists"):
        assert word in result.stdout
