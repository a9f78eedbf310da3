"""From a catalogue and lists of tracks to the collaborative tables."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from models import bridge, co_listening
from models.collaborative import ARTIST_RIDGE, ARTISTS_OF_ONE, LIST_MAX, LISTS_MAX, Rows, learn
from models.embeat_mlp import EmbeatMLP
from models.errors import TooFewTracks
from models.item_factors import Weighting
from models.prior import FOLDS, SETTINGS, TREES, Folds, Prior, examples, held_out_auc, train_prior
from models.tables import Tables, ordered
from recall.columns import columns_of
from recall.tracks import CataloguedTrack

# A prior of fewer lists knows little but chance.
PRIOR_FROM = 40
BATCH = 4096
CONFIG: Mapping[str, Any] = {
    "lists_max": LISTS_MAX,
    "list_max": LIST_MAX,
    "artists": {"ridge": ARTIST_RIDGE, "neighbours": ARTISTS_OF_ONE},
    "factors": asdict(Weighting()),
    "bridge": {"width": bridge.WIDTH, "ridge": bridge.RIDGE},
    "prior": {**SETTINGS, "trees": TREES, "folds": FOLDS},
}

OnStep = Callable[[str, int, int], None]


def tables_from(
    tracks: Sequence[CataloguedTrack],
    lists: Sequence[Sequence[str]],
    model: EmbeatMLP,
    *,
    seed: int,
    manifest: Mapping[str, Any],
    listeners: Sequence[Sequence[str]] = (),
    on_step: OnStep = lambda doing, done, total: None,
) -> Tables:
    """Learn the tables of a catalogue; tracks that it does not hold are left out of the lists.

    Args:
        tracks: each once.
        lists: ids of the tracks of playlists and sessions, those that came last at the end.
        model: gives the acoustic vectors.
        seed: of the folds and of all that is drawn.
        manifest: what is to be known of the version besides its sizes.
        listeners: ids of the tracks that each person heard, those heard last at the end.
        on_step: told what is under way, and how much of it is done.
    """
    began_s = time.monotonic()
    order = ordered([track.track_id for track in tracks])
    tracks = [tracks[at] for at in order.tolist()]
    on_step("embedding", 0, 1)
    items = columns_of(tracks, _sounds(tracks, model))
    places = {track.track_id: row for row, track in enumerate(tracks)}
    rows = [rows_in(one, places) for one in lists]
    rows = [one for one in rows if len(one) > 1][-LISTS_MAX:]
    prior, worth = _prior(items, rows, seed, on_step) if len(rows) >= PRIOR_FROM else (None, None)
    on_step("learning the tables", 0, 1)
    learned = learn(items, rows)
    heard = [known for one in listeners if len(known := rows_in(one[::-1], places)[::-1]) > 1]
    told = {
        **manifest,
        "tracks": len(tracks),
        "lists": len(rows),
        "listeners": len(heard),
        "config": {**CONFIG, "seed": seed},
        "metrics": {"prior_held_out_auc": worth, "bridge_evidence": round(learned.bridge.evidence, 3)},
        "data": {
            "tracks": _fingerprint(track.track_id.encode() for track in tracks),
            "lists": _fingerprint(one.tobytes() for one in rows),
            "listeners": _fingerprint(one.tobytes() for one in heard),
        },
        "parents": {"embeat_mlp": model.version},
        "took_s": round(time.monotonic() - began_s, 1),
    }
    together = co_listening.learn(heard, len(tracks)) if heard else None
    return Tables([track.track_id for track in tracks], learned, prior, told, listeners=together)


def rows_in(track_ids: Sequence[str], places: Mapping[str, int]) -> Rows:
    """The rows of the first so many distinct tracks of a list that the catalogue holds, in order."""
    known = dict.fromkeys(places[one] for one in track_ids if one in places)
    return np.array(list(known)[:LIST_MAX], dtype=np.int64)


def _fingerprint(parts: Iterable[bytes]) -> str:
    """sha256 over the parts, each after its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _prior(
    items: Any, rows: Sequence[Rows], seed: int, on_step: OnStep
) -> tuple[Prior, float | None] | tuple[None, None]:
    """The prior of all lists, and what one of four fifths of them is worth on the others."""
    found = list(examples(items, rows, Folds(seed), lambda done, total: on_step("gathering evidence", done, total)))
    try:
        return train_prior(found, seed), held_out_auc(found, seed)
    except TooFewTracks:
        return None, None


def _sounds(tracks: Sequence[CataloguedTrack], model: EmbeatMLP) -> Any:
    vectors = np.zeros((len(tracks), model.config.output_width), np.float32)
    able = np.array([row for row, track in enumerate(tracks) if model.can_embed(track)], dtype=np.int64)
    for start in range(0, len(able), BATCH):
        part = able[start : start + BATCH]
        vectors[part] = model.embed([tracks[row] for row in part.tolist()])
    return vectors
