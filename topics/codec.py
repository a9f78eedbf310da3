"""Bytes to records and back, refusing at the edge whatever could not be applied later."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from topics.errors import RecordRefused
from topics.records import MAX_ID_CHARACTERS, Record

R = TypeVar("R", bound=Record)

MAX_RECORD_BYTES = 1 << 20
# Names and values together; what tracing adds is a few hundred bytes. Some come back with an answer.
MAX_HEADERS = 64
MAX_HEADERS_BYTES = 32_768
Headers = Sequence[tuple[str, bytes | None]]
_encoder = msgspec.json.Encoder()


@cache
def _decoder(record_type: type[Record]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(record_type)


def encode(record: Record) -> bytes:
    """JSON in UTF-8 for one Kafka record; its numbers must be finite.

    Raises:
        RecordRefused: `invalid`, when a text in it is not valid Unicode.
    """
    try:
        return _encoder.encode(record)
    except (UnicodeEncodeError, ValueError) as error:
        raise RecordRefused("invalid", f"expected valid Unicode and finite numbers, got {error}") from error


def decode(value: bytes | None, record_type: type[R]) -> R:
    """The record in `value`.

    Raises:
        RecordRefused: `null_value`, `undecodable` (not JSON in UTF-8) or `invalid` (JSON that breaks the contract).
    """
    if value is None:
        raise RecordRefused("null_value", f"expected a {record_type.__name__}, got a null value")
    if len(value) > MAX_RECORD_BYTES:
        raise RecordRefused("too_large", f"expected at most {MAX_RECORD_BYTES} bytes, got {len(value)}")
    try:
        record: R = _decoder(record_type).decode(value)
    except msgspec.ValidationError as error:
        raise RecordRefused("invalid", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordRefused("undecodable", f"expected JSON in UTF-8, got {len(value)} bytes: {error}") from error
    return record


def require_headers(headers: Headers) -> None:
    """Refuses a record with more headers, or longer ones, than anything that reads them is made for.

    Raises:
        RecordRefused: `too_large`.
    """
    if len(headers) > MAX_HEADERS:
        raise RecordRefused("too_large", f"expected at most {MAX_HEADERS} headers, got {len(headers)}")
    size = sum(len(name.encode(errors="replace")) + len(value or b"") for name, value in headers)
    if size > MAX_HEADERS_BYTES:
        raise RecordRefused("too_large", f"expected at most {MAX_HEADERS_BYTES} bytes of headers, got {size}")


def require_id(key: bytes | None) -> None:
    """Refuses a withdrawal that does not say of what.

    Raises:
        RecordRefused: `wrong_key`, for a key that is no id: none, not UTF-8, or too long.
    """
    try:
        characters = len((key or b"").decode())
    except UnicodeDecodeError as error:
        raise RecordRefused("wrong_key", f"expected a key in UTF-8, got {(key or b'')[:80]!r}") from error
    if not 1 <= characters <= MAX_ID_CHARACTERS:
        raise RecordRefused(
            "wrong_key",
            f"expected the id of what is withdrawn as key, of 1 to {MAX_ID_CHARACTERS} characters, got {characters}",
        )


def require_key(key: bytes | None, expected: str) -> None:
    """Refuses a record whose key is not the id that its topic's row of the contract names.

    Raises:
        RecordRefused: `wrong_key`.
    """
    if key != expected.encode():
        got = "none" if key is None else repr(key[:80].decode(errors="replace"))
        raise RecordRefused("wrong_key", f"expected key {expected!r}, got {got}")
