"""Any value that a record type allows, read from its annotations."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec.inspect as shape
from hypothesis import strategies as st

from topics.records import Features, Filters, Listen, RecommendationRequest, Record, Seed

R = TypeVar("R", bound=Record)
BIG = 2**63 - 1
TEXT = st.characters(exclude_categories=["Cs"])


def records(record_type: type[R]) -> st.SearchStrategy[R]:
    """Records of the type, with every field that may be missing sometimes missing."""
    (info,) = shape.multi_type_info([record_type])
    assert isinstance(info, shape.StructType)
    return _struct(info)


def _struct(info: shape.StructType) -> st.SearchStrategy[Any]:
    if info.cls is Seed:
        return st.builds(lambda name, value: Seed(**{name: value}), st.sampled_from(Seed.__struct_fields__), IDS)
    said = WHAT_ANNOTATIONS_CANNOT_SAY.get(info.cls, {})
    fields = {one.name: said[one.name] if one.name in said else _any(one.type) for one in info.fields}
    return st.builds(info.cls, **fields)


IDS = st.text(TEXT, min_size=1, max_size=256)
RANGES = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2).map(lambda pair: tuple(sorted(pair)))
WHAT_ANNOTATIONS_CANNOT_SAY: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    Listen: {"track_id": IDS, "artist_id": IDS},
    Filters: {
        "features": st.none() | st.dictionaries(st.sampled_from(Features.__struct_fields__), RANGES, max_size=3),
    },
    RecommendationRequest: {
        "after": st.none() | st.dictionaries(st.integers(0, 999_999_999).map(str), st.integers(0, 2**62), max_size=3),
    },
}


def _any(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case shape.UnionType(types=types):
            return st.one_of([_any(one) for one in types])
        case shape.NoneType():
            return st.none()
        case shape.BoolType():
            return st.booleans()
        case shape.IntType(ge=ge, le=le):
            return st.integers(-BIG if ge is None else ge, BIG if le is None else le)
        case shape.FloatType(ge=ge, le=le):
            return st.floats(ge, le, allow_nan=False, allow_infinity=False)
        case shape.LiteralType(values=values):
            return st.sampled_from(list(values))
        case shape.StrType(pattern=None, min_length=least, max_length=most):
            return st.text(TEXT, min_size=least or 0, max_size=min(most or 20, 20))
        case shape.StrType(pattern=pattern):
            return st.from_regex(pattern).filter(lambda text: text.isprintable())
        case shape.VarTupleType(item_type=item):
            return st.lists(_any(item), max_size=3).map(tuple)
        case shape.TupleType(item_types=items):
            return st.tuples(*map(_any, items))
        case shape.DictType(key_type=key, value_type=value):
            return st.dictionaries(_any(key), _any(value), max_size=3)
        case shape.StructType():
            return _struct(info)
    raise NotImplementedError(f"no values for {info}")
