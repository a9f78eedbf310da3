"""Vectors that tracks bring from other models."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recall.brought import brought_vectors
from topics.errors import RecordRefused
from topics.records import Track


def track(**embeddings: tuple[float, ...]) -> Track:
    return Track(track_id="t", title="T", artists=(), embeddings=embeddings)


def test_declared_vectors_are_made_unit_length_and_others_ignored() -> None:
    found = brought_vectors(track(audio=(3.0, 4.0), other=(1.0,)), {"audio": 2, "lyrics": 5})
    assert found.keys() == {"audio"}
    assert found["audio"].dtype == np.float32
    np.testing.assert_allclose(found["audio"], [0.6, 0.8], rtol=1e-6)
    assert brought_vectors(Track(track_id="t", title="T", artists=()), {"audio": 2}) == {}


@pytest.mark.parametrize("scale", [1e-320, 1e-30, 1e30, 1e308])
def test_length_of_a_vector_is_no_matter(scale: float) -> None:
    found = brought_vectors(track(audio=(scale, -scale)), {"audio": 2})["audio"]
    np.testing.assert_allclose(found, [math.sqrt(0.5), -math.sqrt(0.5)], rtol=1e-3)


@pytest.mark.parametrize(
    "numbers", [(), (1.0,), (1.0, 2.0, 3.0), (math.nan, 1.0), (1.0, math.inf), (-math.inf, 0.0), (0.0, 0.0)]
)
def test_vector_that_cannot_be_compared_is_refused_for_one_reason(numbers: tuple[float, ...]) -> None:
    with pytest.raises(RecordRefused, match=r"embeddings\.audio") as refused:
        brought_vectors(track(audio=numbers), {"audio": 2})
    assert refused.value.reason == "bad_embedding"
