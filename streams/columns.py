"""A catalogue as the columns that the collaborative models read."""

from __future__ import annotations

import numpy as np

from models.embeat_mlp import EmbeatMLP
from models.features import table
from models.items import Items
from models.quality import standardised
from recall.columns import columns_of
from recall.tracks import CataloguedTrack
from streams.embedding_quality import vectors_of
from streams.labelled import Catalogue


class Columns:
    """Columns of a catalogue, made once; tracks that only playlists name are known by nothing but that."""

    def __init__(self, known: Items) -> None:
        self._known = known

    @classmethod
    def of_catalogue(cls, catalogue: Catalogue, model: EmbeatMLP) -> Columns:
        """Those of its tracks, with the model's vectors of how they sound.

        A model that learned from playlists may have met those that are asked about: the raw features take its place.
        """
        if model.learned_playlists:
            raw = standardised(table(catalogue.tracks))
            sounds = np.pad(raw, ((0, 0), (0, model.config.output_width - raw.shape[1])))
        else:
            able = np.array([model.can_embed(track) for track in catalogue.tracks], dtype=bool)
            sounds = vectors_of(model, catalogue, able)
        return cls(columns_of(catalogue.tracks, sounds))

    def of(self, rows: int) -> Items:
        """Those of the first `rows` rows."""
        more = rows - len(self._known)
        named = [CataloguedTrack(track_id="", title="")] * more
        return self._known.and_then(columns_of(named, np.zeros((more, self._known.sounds.shape[1]), np.float32)))
