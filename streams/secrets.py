"""Keeps secrets out of what is written for people: logs, errors, settings that are shown."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from urllib.parse import parse_qsl, unquote

from streams.environment import SECRETS, URLS, value_in
from streams.errors import SettingInvalid

HIDDEN = "***"
# A shorter one would blot out parts of ordinary words, and protects nothing.
SHORTEST = 4


def shown_url(url: str) -> str:
    """A URL without its user, its password and its query, which may hold either."""
    scheme, separator, rest = url.partition("://")
    place, query_sign, _ = rest.partition("?")
    user, at, host = place.rpartition("@")
    return f"{scheme}{separator}{HIDDEN if user else ''}{at}{host}{query_sign}{HIDDEN if query_sign else ''}"


def secrets_in(environment: Mapping[str, str]) -> frozenset[str]:
    """Every secret that the environment gives to a setting, also one within a URL; unreadable files are passed over."""
    found: set[str] = set()
    for name in SECRETS | URLS:
        with suppress(SettingInvalid):
            value = value_in(environment, name) or ""
            found |= {value} if name in SECRETS else _secrets_of_url(value)
    return frozenset(one for one in found if len(one) >= SHORTEST)


def _secrets_of_url(url: str) -> set[str]:
    place, _, query = url.partition("://")[2].partition("?")
    password = place.rpartition("@")[0].partition(":")[2]
    return {password, unquote(password), *(value for name, value in parse_qsl(query) if "password" in name)}


def hide(text: str, secrets: Collection[str]) -> str:
    """The text with every secret replaced."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


class Discreet(logging.Formatter):
    """Another formatter's lines, tracebacks too, without secrets: a library may log what it sends."""

    def __init__(self, inner: logging.Formatter, secrets: Collection[str]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several with a traceback."""
        return hide(self._inner.format(record), self._secrets)
