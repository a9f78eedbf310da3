from __future__ import annotations

import pytest

from recall.merge import WEIGHTS
from recall.tracks import ACOUSTIC, LEARNED
from streams.errors import SettingInvalid
from streams.settings import read_settings
from streams.vectors import RESERVED, layout_of, parse_vectors


def test_declared_vectors_are_read_with_their_weights() -> None:
    found = read_settings({"THROUGHBEAT_VECTORS": "audio:2:0.5, lyrics:384 ,"}).declared_vectors
    assert [(one.name, one.dimension, one.weight) for one in found] == [("audio", 2, 0.5), ("lyrics", 384, 1.0)]
    assert read_settings({}).declared_vectors == ()


@pytest.mark.parametrize(
    "text",
    [
        "audio",
        "audio:",
        "audio:two",
        "audio:0",
        "audio:4097",
        "audio:2:0",
        "audio:2:-1",
        "audio:2:nan",
        "audio:2:inf",
        "audio:2:1:1",
        ":2",
        "Audio:2",
        "a b:2",
        "acoustic:64",
        "fresh:2",
        "audio:2,audio:3",
        ",".join(f"v{number}:2" for number in range(17)),
    ],
)
def test_declaration_that_cannot_be_used_is_refused_with_its_variable(text: str) -> None:
    with pytest.raises(SettingInvalid, match=r"THROUGHBEAT_VECTORS: .*expected"):
        read_settings({"THROUGHBEAT_VECTORS": text})


def test_no_vector_can_take_the_name_of_one_of_ours_or_of_a_channel() -> None:
    assert {ACOUSTIC, *LEARNED, *WEIGHTS} <= RESERVED


def test_another_declaration_is_another_collection_but_order_and_weight_are_not() -> None:
    layouts = [layout_of(parse_vectors(text)) for text in ("", "a:2", "a:3", "a:2,b:2")]
    assert layouts[0] == ""
    assert len(set(layouts)) == 4
    assert layout_of(parse_vectors("b:2,a:2:0.5")) == layouts[3]
