"""Every key in Redis: `<installation>.<what>:{<slot>}`, so that one Lua call stays on one node of a cluster.

The part in braces is the hash tag. A person's keys share the person's, so no two persons share a key, whatever
characters their ids hold; what is counted over persons is kept by partition of `listening.events` and summed when read.
"""

from __future__ import annotations

# The order in which person.lua takes them.
PERSON_KEYS = (
    b":meta",
    b":recent",
    b":closed",
    b":heard",
    b":likes",
    b":dislikes",
    b":saves",
    b":blocked",
    b":followed",
    b":anchors",
    b":session",
)


def key_prefix(installation: str) -> str:
    """What all keys of an installation begin with: `acme.`, or nothing."""
    return f"{installation.rstrip('.')}." if installation else ""


def person_keys(prefix: str, user_id: str) -> list[bytes]:
    """The keys of one person, in the order of `PERSON_KEYS`."""
    tag = f"{prefix}person:{{{_without_braces(user_id)}}}".encode()
    return [tag + name for name in PERSON_KEYS]


def sessions_pattern(prefix: str) -> bytes:
    """What the session keys of all persons match, as Redis reads patterns."""
    plain = "".join(f"\\{one}" if one in "*?[]^\\" else one for one in prefix)
    return f"{plain}person:{{*}}:session".encode()


def person_of(prefix: str, session_key: bytes) -> str:
    """Whose session a key is."""
    inside = session_key.decode().removeprefix(f"{prefix}person:{{").removesuffix("}:session")
    return inside.replace("%7B", "{").replace("%7D", "}").replace("%25", "%")


def _without_braces(user_id: str) -> str:
    """The id as the inside of a hash tag, which ends at the first brace; different for different ids."""
    if "{" in user_id or "}" in user_id or "%" in user_id:
        return user_id.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return user_id


def explored_key(prefix: str, user_id: str) -> bytes:
    """How a person took what was explored on them; beside the person's keys."""
    return f"{prefix}person:{{{_without_braces(user_id)}}}:explored".encode()


def given_key(prefix: str, user_id: str) -> bytes:
    """What the weekly lists held that a person was given; beside the person's keys."""
    return f"{prefix}person:{{{_without_braces(user_id)}}}:given".encode()


def feedback_key(prefix: str, features: str, request_id: str) -> bytes:
    """What was shown for one request, and what followed."""
    return f"{prefix}feedback-{features}:{{{_without_braces(request_id)}}}".encode()


def awaiting_key(prefix: str, source: str) -> str:
    """Requests of which something is held, by the partition that told of them first."""
    return f"{prefix}awaiting:{{{source}}}"


def evidence_keys(prefix: str, features: str, source: str) -> tuple[str, str]:
    """What the ranking has learnt from one partition of a topic, and a copy in case that is damaged."""
    return f"{prefix}evidence-{features}:{{{source}}}", f"{prefix}evidence-{features}-kept:{{{source}}}"


def ranking_versions_key(prefix: str, features: str) -> str:
    """Versions of the ranking that are kept, by name."""
    return f"{prefix}ranking-{features}:versions"


def ranking_serving_key(prefix: str, features: str) -> str:
    """Which version of the ranking serves, and those that did, the latest first."""
    return f"{prefix}ranking-{features}:serving"


def popularity_key(prefix: str, partition: int) -> str:
    """The decayed plays of one partition, by track."""
    return f"{prefix}popularity:{{p{partition}}}"


def due_key(prefix: str, partition: int) -> str:
    """The persons of one partition, by when their sessions are to be looked at."""
    return f"{prefix}sessions-due:{{p{partition}}}"


def recent_plays_key(prefix: str, partition: int) -> str:
    """The plays of the last days of one partition, by track."""
    return f"{prefix}recent-plays:{{p{partition}}}"


def applied_key(prefix: str, partition: int) -> str:
    """Up to which offset a partition has been counted."""
    return f"{prefix}applied:{{p{partition}}}"


def artists_key(prefix: str) -> str:
    """All artists, by id."""
    return f"{prefix}artists"


def playlists_key(prefix: str) -> str:
    """All playlists, by id."""
    return f"{prefix}playlists"


def settling_keys(prefix: str) -> tuple[bytes, bytes]:
    """The number of the last question whether all that came is learned, and of the last that was answered."""
    return f"{prefix}settling:{{all}}:asked".encode(), f"{prefix}settling:{{all}}:told".encode()
