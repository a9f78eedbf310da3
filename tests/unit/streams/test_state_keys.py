"""Keys of a person: one slot of a cluster a person, and no key of two persons, whatever their ids hold."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.state.keys import applied_key, key_prefix, person_keys, popularity_key

USER_IDS = st.text(
    st.one_of(st.sampled_from("{}%:\n\0 7Bab"), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=12
)


def hash_tag(key: bytes) -> bytes:
    """What the cluster specification hashes: between the first brace and the first closing one after it."""
    return key.split(b"{", 1)[1].split(b"}", 1)[0]


@given(USER_IDS)
@example("{")
@example("}{")
def test_all_keys_of_a_person_share_a_hash_tag_that_is_not_empty(user_id: str) -> None:
    (tag,) = {hash_tag(key) for key in person_keys("acme.", user_id)}
    assert tag


@given(USER_IDS, USER_IDS)
@example("%7B", "{")
@example("a}:meta", "a")
def test_two_persons_share_a_key_only_if_they_are_one(one: str, other: str) -> None:
    assert (one == other) == bool(set(person_keys("", one)) & set(person_keys("", other)))


@pytest.mark.parametrize(("installation", "prefix"), [("", ""), ("acme", "acme."), ("acme.", "acme.")])
def test_keys_begin_with_the_installation_as_topics_do(installation: str, prefix: str) -> None:
    assert key_prefix(installation) == prefix


def test_keys_of_a_partition_share_its_slot() -> None:
    assert popularity_key("acme.", 3) == "acme.popularity:{p3}"
    assert applied_key("acme.", 3) == "acme.applied:{p3}"
