"""A catalogue as the columns that the collaborative models read."""

from __future__ import annotations

import numpy as np

from models.embeat_mlp import EmbeatMLP
from models.items import Items
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
        """Those of its tracks, with the model's vectors of how they sound."""
        able = np.array([model.can_embed(track) for track in catalogue.tracks], dtype=bool)
        return cls(columns_of(catalogue.tracks, vectors_of(model, catalogue, able)))

    def of(self, rows: int) -> Items:
        """Those of the first `rows` rows."""
        more = rows - len(self._known)
        named = [CataloguedTrack(track_id="", title="")] * more
        return self._known.and_then(columns_of(named, np.zeros((more, self._known.sounds.shape[1]), np.float32)))
