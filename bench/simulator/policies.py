"""What is compared: the same system under other settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from recall.merge import WEIGHTS

CHANNELS = (*WEIGHTS, "described")


def only(*names: str) -> str:
    """The setting `channels` with these alone.

    >>> only("acoustic").count("=off") == len(CHANNELS) - 1
    True
    """
    return ",".join(f"{name}=off" for name in CHANNELS if name not in names)


@dataclass(frozen=True)
class Policy:
    """One way to run the system.

    Attributes:
        settings: name -> value, as in `streams.settings`.
        anonymous: whether requests say who asks; what was heard is then excluded by the request.
        exploration: of each request; `None` = the surface's own.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False
    exploration: float | None = None


POLICIES: Mapping[str, Policy] = {
    "full": Policy(),
    "unlearned prior": Policy({"ranking": "off"}),
    "no session": Policy({"session": "off", "channels": "session_neighbours=off"}),
    "no exploration": Policy(exploration=0.0),
    "one blend": Policy({"blends": "balanced"}),
    "epsilon-greedy": Policy({"explored": "by chance"}),
    # With what is popular, or somebody new would be shown nothing.
    "acoustic only": Policy({"channels": only("acoustic", "genre_popular"), "session": "off", "ranking": "off"}),
    "popularity": Policy(
        {"channels": only("genre_popular", "rising"), "session": "off", "ranking": "off"}, anonymous=True
    ),
}


def policy_of(text: str) -> tuple[str, Policy]:
    """A policy by its name, or one of its own as `NAME:SETTING=VALUE[;SETTING=VALUE]`.

    >>> policy_of("half:person_heard_max=100")[1].settings
    {'person_heard_max': '100'}

    Raises:
        KeyError: there is none of that name.
    """
    name, stated, settings = text.partition(":")
    if not stated:
        return name, POLICIES[name]
    pairs = (one.partition("=") for one in settings.split(";") if one)
    return name, Policy({key.strip(): value for key, _, value in pairs})
