from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import SettingInvalid
from streams.settings import read_settings


def test_numbers_and_paths_are_read_from_text_and_options_win() -> None:
    environment = {"THROUGHBEAT_PARTITIONS": "8", "THROUGHBEAT_DATA_DIR": "here", "THROUGHBEAT_RETRY_S": "2.5"}
    settings = read_settings(environment, partitions=16, redis_url=None)
    assert (settings.partitions, settings.data_dir, settings.retry_s) == (16, Path("here"), 2.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THROUGHBEAT_PARTITIONS", "many"),
        ("THROUGHBEAT_PARTITIONS", "-1"),
        ("THROUGHBEAT_RETRY_S", "0"),
        ("THROUGHBEAT_RETRY_S", "nan"),
        ("THROUGHBEAT_TOPIC_PREFIX", "a b"),
        ("THROUGHBEAT_TOPIC_PREFIX", "a\n"),
        ("THROUGHBEAT_KAFKA_SECURITY_PROTOCOL", "TLS"),
    ],
)
def test_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=name):
        read_settings({name: value})


def test_secrets_are_not_shown() -> None:
    shown = repr(
        read_settings(
            {
                "THROUGHBEAT_KAFKA_PASSWORD": "hush1",
                "THROUGHBEAT_QDRANT_API_KEY": "hush2",
                "THROUGHBEAT_REDIS_URL": "rediss://me:hush3@host:6379/0",
            }
        )
    )
    assert "hush" not in shown
    assert "host:6379" in shown
