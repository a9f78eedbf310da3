"""How the environment says a setting: by a variable, or, for a secret, by a file that a variable names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streams.errors import SettingInvalid

PREFIX = "THROUGHBEAT_"
# Never shown; each may be read from a file instead, as orchestrators hand them out.
SECRETS = frozenset({"kafka_password", "redis_password", "qdrant_api_key"})
# May hold a password.
URLS = frozenset({"redis_url", "qdrant_url"})
# Nothing that anybody uses as a password is larger.
SECRET_BYTES = 65_536


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def file_variable(name: str) -> str:
    """The variable that names the file of a secret."""
    return f"{variable(name)}_FILE"


def value_in(environment: Mapping[str, str], name: str) -> str | None:
    """What the environment says of a setting, `None` when nothing or an empty text. The variable wins over the file.

    Raises:
        SettingInvalid: the file cannot be read, or holds no text.
    """
    if value := environment.get(variable(name)):
        return value
    path = environment.get(file_variable(name)) if name in SECRETS else None
    return _content(Path(path), file_variable(name)) if path else None


def _content(path: Path, named_by: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(SECRET_BYTES + 1)
        text = content.decode().rstrip("\r\n")
    except OSError as error:
        raise SettingInvalid(f"{named_by}: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingInvalid(f"{named_by}: expected text in UTF-8 in {path}") from None
    if not text or len(content) > SECRET_BYTES:
        raise SettingInvalid(f"{named_by}: expected a secret of 1 to {SECRET_BYTES} bytes in {path}")
    return text
