"""Ways to continue playlists are measured on playlists that they have not seen, and neither trap moves a figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.embeat_mlp import EmbeatMLP, load_checkpoint
from models.errors import TooFewTracks
from models.features import table
from models.quality import standardised
from recall.tracks import CataloguedTrack
from streams import cold_start, continuation
from streams.baselines import als, item_knn, popularity
from streams.cli.evaluate import evaluate_app
from streams.columns import Columns
from streams.continuation import Known, Ranker, Way
from streams.labelled import Catalogue, labelled
from topics.records import ArtistRef, Features

LOUD = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "liveness", "speechiness")


def track(track_id: str, **fields: object) -> CataloguedTrack:
    artist = str(fields.pop("artist", "A"))
    fields.setdefault("title", f"Title {track_id}")
    return CataloguedTrack(track_id=track_id, artists=(ArtistRef(artist_id=artist, name=artist),), **fields)


def catalogue(lists: Sequence[Sequence[str]], tracks: int = 40) -> Catalogue:
    return labelled([track(f"t{at}", album_id=f"b{at // 2}") for at in range(tracks)], lists)


def halves(many: int = 20) -> list[list[str]]:
    """Each list holds even tracks or odd ones, ten of twenty."""
    rng = np.random.default_rng(2)
    return [[f"t{2 * at + one % 2}" for at in rng.permutation(20)[:10]] for one in range(many)]


def always(scores: Sequence[float]) -> Way:
    def way(known: Known) -> Ranker:
        return lambda held: np.resize(np.array(scores, np.float32), known.rows)

    return way


def value(found: dict[str, object], given: str, way: str, measure: str) -> float:
    return found["given"][given]["ways"][way][measure]["value"]  # type: ignore[index,no-any-return]


def test_a_way_that_knows_the_answer_is_perfect_and_one_that_knows_nothing_is_not() -> None:
    lists = halves()

    def same_half(known: Known) -> Ranker:
        return lambda held: np.where(np.arange(known.rows) % 2 == held[0] % 2, 1.0, 0.0).astype(np.float32)

    ways = {"same half": same_half, "reversed": lambda known: lambda held: -same_half(known)(held)}
    found = continuation.compare(catalogue(lists), ways, seed=1)
    # 15 of the same half are left when five of ten are given, so five wanted are among the first fifteen.
    assert value(found, "first 5", "same half", "recall@100") == 1.0
    assert value(found, "half", "same half", "NDCG@500") > value(found, "half", "reversed", "NDCG@500") + 0.2
    low, high = found["given"]["half"]["differences"]["reversed"]["NDCG@500"]["interval"]
    assert 0.2 < low < high
    assert found["cases"] == 20


def test_what_is_held_is_never_found_and_each_playlist_is_asked_once_unseen() -> None:
    lists = halves()
    met: list[tuple[int, ...]] = []

    def way(known: Known) -> Ranker:
        learned = {tuple(sorted(one.tolist())) for one in known.lists}

        def scores(held: np.ndarray) -> np.ndarray:
            assert not any(set(held.tolist()) <= set(one) and len(one) == len(held) for one in learned)
            met.append(tuple(held.tolist()))
            found = np.zeros(known.rows, np.float32)
            found[held] = 9
            return found

        return scores

    continuation.compare(catalogue(lists), {"way": way}, seed=1)
    assert len(met) == 2 * len(lists)


def test_order_decides_what_is_given_and_short_playlists_are_not_asked_about() -> None:
    lists = [*halves(), ["t0", "t1", "t2"]]
    seen = []

    def way(known: Known) -> Ranker:
        def scores(held: np.ndarray) -> np.ndarray:
            seen.append([f"t{row}" for row in held.tolist()])
            return np.zeros(known.rows, np.float32)

        return scores

    found = continuation.compare(catalogue(lists), {"way": way}, seed=3)
    assert found["cases"] == 20
    assert all(any(one == full[:5] for full in lists) for one in seen)


def test_tracks_that_only_the_playlists_asked_about_name_are_no_candidates() -> None:
    """The first trap. A way that prefers what it has never met would find all of them."""
    strangers = [f"s{at}" for at in range(20 * 5)]
    lists = [[*one[:5], *strangers[5 * at : 5 * at + 5]] for at, one in enumerate(halves())]

    def prefers_the_unknown(known: Known) -> Ranker:
        return lambda held: (np.arange(known.rows) >= len(known.catalogue.tracks)).astype(np.float32)

    found = continuation.compare(catalogue(lists), {"way": prefers_the_unknown}, seed=1)
    assert value(found, "first 5", "way", "recall@100") == 0.0
    # Once another playlist names them they are candidates.
    twice = [*lists, *lists]
    assert (
        value(
            continuation.compare(catalogue(twice), {"way": prefers_the_unknown}, seed=1), "first 5", "way", "recall@100"
        )
        > 0.4
    )


def test_baselines_find_the_half_and_popularity_cannot() -> None:
    ways = {"ALS": als(1), "item-kNN": item_knn, "popularity": popularity}
    found = continuation.compare(catalogue(halves(60)), ways, seed=1)
    for way in ("ALS", "item-kNN"):
        assert value(found, "half", way, "R-precision") > value(found, "half", "popularity", "R-precision") + 0.1


def test_too_few_playlists_are_told() -> None:
    with pytest.raises(TooFewTracks, match="got 1"):
        continuation.compare(catalogue([halves()[0]]), {"way": always([0])}, seed=1)


def test_new_releases_are_whole_albums_that_no_way_has_met() -> None:
    found = catalogue(halves())
    new = cold_start.held_out(found, seed=1)
    assert (new[0::2] == new[1::2]).all()  # two tracks an album
    assert 0.05 < new.mean() < 0.5

    def way(known: Known) -> Ranker:
        assert not new[np.concatenate(known.lists)].any()
        assert known.candidates.sum() <= new.sum()
        return lambda held: np.zeros(known.rows, np.float32)

    assert cold_start.compare(found, {"way": way}, seed=1)["cases"] > 0


def test_a_re_release_of_what_is_known_is_no_new_release() -> None:
    """The second trap. Ten releases of one known title would be found by the title alone."""
    again = [track(f"again{at}", album_id=f"new{at}", title="Title t0 - Remastered") for at in range(10)]
    lists = [[*one, *(f"again{at}" for at in range(10))] for one in halves()]
    found = labelled([*catalogue([]).tracks, *again], lists)
    seed = next(
        one
        for one in range(99)
        if cold_start.held_out(found, one)[40:].any() and not cold_start.held_out(found, one)[0]
    )
    new = cold_start.held_out(found, seed)
    known_before = cold_start.released_before(found, new)
    assert known_before[40:].all()
    sizes = []

    def way(known: Known) -> Ranker:
        sizes.append(known.candidates[40:].sum())
        return lambda held: np.zeros(known.rows, np.float32)

    cold_start.compare(found, {"way": way}, seed=seed)
    assert sizes == [0]


@pytest.mark.parametrize("command", ["continuation", "cold-start"])
def test_commands_tell_the_same_twice_with_baselines_and_intervals(tmp_path: Path, command: str) -> None:
    rng = np.random.default_rng(5)
    tracks, playlists = tmp_path / "tracks.csv", tmp_path / "playlists.csv"
    rows = [
        f"t{at},Title {at},a{at // 4},Artist {at // 4},b{at // 2},{at % 100},"
        + ",".join(f"{one:.3f}" for one in rng.random(4))
        + f",{90 + at % 60}"
        for at in range(160)
    ]
    head = "track_id,title,artist_id,artist_name,album_id,popularity,danceability,energy,valence,acousticness,tempo"
    tracks.write_text("\n".join([head, *rows]))
    lines = ["playlist_id,position,track_id"]
    for one in range(60):
        members = 40 * (one % 4) + rng.permutation(40)[:14]
        lines += [f"p{one},{at},t{member}" for at, member in enumerate(members)]
    playlists.write_text("\n".join(lines))
    arguments = [command, "--tracks", str(tracks), "--playlists", str(playlists), "--json"]
    first, second = (CliRunner().invoke(evaluate_app, arguments) for _ in range(2))
    assert first.exit_code == 0, first.output
    found = json.loads(first.stdout)
    assert found == json.loads(second.stdout)
    figures = found["given"]["half"] if command == "continuation" else found
    measure = "R-precision" if command == "continuation" else "NDCG@50"
    assert list(figures["ways"])[:2] == ["ranked", "fusion"]
    assert figures["ways"]["ranked"][measure]["value"] > figures["ways"]["raw features"][measure]["value"]
    assert set(figures["differences"]) == set(figures["ways"]) - {"ranked"}
    table = CliRunner().invoke(evaluate_app, arguments[:-1])
    assert "ranked less fusion" in table.output
    assert "learned from playlists, perhaps these" in table.output
    assert found["learned_playlists"] == [load_checkpoint().version]


def test_an_embedding_that_learned_from_playlists_does_not_tell_our_ways_how_tracks_sound() -> None:
    rng = np.random.default_rng(3)
    heard = [Features(**dict(zip(LOUD, rng.random(len(LOUD)).tolist(), strict=True))) for _ in range(40)]
    found = labelled([track(f"t{at}", features=one) for at, one in enumerate(heard)], halves())
    model = load_checkpoint()
    untaught = EmbeatMLP(model.config, model.tensors, "untaught", {"training": {"shares": {"album": 1.0}}})
    taught, other = (Columns.of_catalogue(found, one).of(len(found.tracks)).sounds for one in (model, untaught))
    raw = standardised(table(found.tracks))
    assert np.allclose(taught[:, : raw.shape[1]], raw, atol=1e-3)
    assert not taught[:, raw.shape[1] :].any()
    assert not np.allclose(other, taught, atol=1e-2)
