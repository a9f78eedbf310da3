"""What becomes of the versions of a model when one is promoted, ready, refused, rolled back or pruned."""

from __future__ import annotations

from msgspec.structs import replace

from streams.errors import NothingToGoBackTo
from topics.records import ModelUpdate


def installed(model: str, version: str) -> ModelUpdate:
    """The first version of an installation."""
    return ModelUpdate(model=model, version=version, fills={version: 0})


def promoted(state: ModelUpdate, version: str, *, by_operator: bool = True) -> ModelUpdate:
    """Another version is wanted. The previous one, being ready, serves at once; the serving one ends what is wanted."""
    ours = _next(state, by_operator=by_operator)
    if version == state.version:
        return _kept(replace(ours, wanted=None))
    if version == state.previous:
        return _kept(replace(ours, version=version, previous=state.version, wanted=None))
    fill = state.fills.get(version, 0) if version == state.wanted else ours.generation
    return _kept(replace(ours, wanted=version, fills={**state.fills, version: fill}))


def ready(state: ModelUpdate) -> ModelUpdate:
    """The version that was wanted serves."""
    if state.wanted is None:
        return state
    return _kept(replace(state, version=state.wanted, previous=state.version, wanted=None))


def refused(state: ModelUpdate, reason: str) -> ModelUpdate:
    """The version that was wanted cannot serve."""
    return _kept(replace(state, wanted=None, refused=reason))


def rolled_back(state: ModelUpdate) -> ModelUpdate:
    """The version before serves again.

    Raises:
        NothingToGoBackTo: there is none that is ready.
    """
    if state.previous is None:
        raise NothingToGoBackTo(
            f"expected a version of {state.model} before {state.version} that is kept ready, got none"
        )
    return promoted(state, state.previous)


def pruned(state: ModelUpdate) -> ModelUpdate:
    """The version before is no longer kept ready."""
    return _kept(replace(_next(state, by_operator=state.by == "operator"), previous=None))


def follows(update: ModelUpdate, state: ModelUpdate) -> bool:
    """Whether an update is news, and not of a command that another has overtaken."""
    return update.generation >= state.generation and replace(update, updated_at_ms=state.updated_at_ms) != state


def live(state: ModelUpdate) -> set[str]:
    """The versions whose vectors are kept."""
    return {one for one in (state.version, state.previous, state.wanted) if one is not None}


def _next(state: ModelUpdate, *, by_operator: bool) -> ModelUpdate:
    by = "operator" if by_operator else state.by
    return replace(state, generation=state.generation + 1, by=by, refused=None)


def _kept(state: ModelUpdate) -> ModelUpdate:
    return replace(state, fills={version: fill for version, fill in state.fills.items() if version in live(state)})
