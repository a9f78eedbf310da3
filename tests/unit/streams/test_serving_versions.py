"""What serves after each command, told as a story."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from streams.errors import NothingToGoBackTo
from streams.serving.versions import follows, installed, live, promoted, pruned, ready, refused, rolled_back

FIRST = installed("embeat_mlp", "a")


def test_promoted_version_serves_once_it_is_ready_and_the_one_before_is_kept() -> None:
    wanted = promoted(FIRST, "b")
    assert (wanted.version, wanted.wanted, live(wanted)) == ("a", "b", {"a", "b"})
    served = ready(wanted)
    assert (served.version, served.previous, served.wanted, live(served)) == ("b", "a", None, {"a", "b"})
    third = ready(promoted(served, "c"))
    assert (third.version, third.previous, live(third)) == ("c", "b", {"b", "c"})


def test_rollback_needs_no_filling_and_can_be_taken_back() -> None:
    served = ready(promoted(FIRST, "b"))
    back = rolled_back(served)
    assert (back.version, back.previous, back.wanted) == ("a", "b", None)
    assert rolled_back(back).version == "b"
    assert promoted(served, "a").version == "a"
    with pytest.raises(NothingToGoBackTo, match="before a"):
        rolled_back(FIRST)


def test_promoting_what_serves_ends_what_is_under_way() -> None:
    ended = promoted(promoted(FIRST, "b"), "a")
    assert (ended.version, ended.wanted, live(ended)) == ("a", None, {"a"})


def test_each_filling_has_a_collection_of_its_own_and_goes_on_when_it_is_asked_for_again() -> None:
    wanted = promoted(FIRST, "b")
    assert wanted.fills == {"a": 0, "b": 1}
    assert promoted(wanted, "b").fills == {"a": 0, "b": 1}
    assert ready(wanted).fills == {"a": 0, "b": 1}
    gone = pruned(rolled_back(ready(wanted)))
    assert gone.fills == {"a": 0}
    assert promoted(gone, "b").fills == {"a": 0, "b": 4}


def test_version_that_cannot_serve_leaves_the_other_serving_and_says_why() -> None:
    told = refused(promoted(FIRST, "b"), "b is damaged")
    assert (told.version, told.wanted, told.refused) == ("a", None, "b is damaged")
    assert promoted(told, "c").refused is None


def test_readiness_of_an_overtaken_command_is_not_followed() -> None:
    wanted = promoted(FIRST, "b")
    ended = promoted(wanted, "a")
    assert follows(wanted, FIRST)
    assert follows(ready(wanted), wanted)
    assert not follows(ready(wanted), ended)
    assert not follows(replace(ended, updated_at_ms=5), ended)


def test_installation_s_own_choice_yields_to_an_operator_for_good() -> None:
    own = promoted(FIRST, "b", by_operator=False)
    assert own.by == "installation"
    assert promoted(own, "c").by == "operator"
    assert promoted(promoted(own, "c"), "d", by_operator=False).by == "operator"
    assert pruned(own).by == "installation"
