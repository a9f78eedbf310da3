"""What may not be shown is not shown, wherever it is given."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from streams.errors import SettingInvalid
from streams.secrets import Discreet, hide, secrets_in, shown_url
from streams.settings import Settings, read_settings
from streams.state.connection import connect
from streams.up import environment_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hush@host:6379/0", "redis://***@host:6379/0"),
        ("rediss://ada:hu@sh@host", "rediss://***@host"),
        ("redis://host:6379/0?password=hush", "redis://host:6379/0?***"),
        ("unix://me:hush@/run/redis.sock", "unix://***@/run/redis.sock"),
        ("https://host:6333", "https://host:6333"),
        ("", ""),
    ],
)
def test_url_is_shown_without_what_opens_the_door(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_every_way_to_give_a_secret_is_known(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key-from-file\n")
    environment = {
        "THROUGHBEAT_KAFKA_PASSWORD": "of-kafka",
        "THROUGHBEAT_REDIS_URL": "redis://ada:in%40url@host/0?ssl_password=of-the-key",
        "THROUGHBEAT_QDRANT_API_KEY_FILE": str(tmp_path / "key"),
        "THROUGHBEAT_KAFKA_USERNAME": "ada-herself",
    }
    assert secrets_in(environment) == {"of-kafka", "in%40url", "in@url", "of-the-key", "key-from-file"}


def test_short_secret_does_not_blot_out_ordinary_words() -> None:
    assert secrets_in({"THROUGHBEAT_KAFKA_PASSWORD": "a"}) == set()


def test_longer_of_two_secrets_is_hidden_whole() -> None:
    assert hide("sesame-open and sesame", {"sesame", "sesame-open"}) == "*** and ***"


def test_log_line_and_its_traceback_are_without_secrets() -> None:
    formatter = Discreet(logging.Formatter("%(message)s"), {"hush-hush"})
    try:
        raise ValueError("no hush-hush here")
    except ValueError as error:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "sent %r", (b"\x00ada\x00hush-hush",), None)
        record.exc_info = (ValueError, error, error.__traceback__)
    line = formatter.format(record)
    assert "hush-hush" not in line
    assert "ValueError: no *** here" in line


def test_secret_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("a b \n")
    environment = {"THROUGHBEAT_REDIS_PASSWORD_FILE": str(file)}
    assert read_settings(environment).redis_password == "a b "
    assert read_settings({**environment, "THROUGHBEAT_REDIS_PASSWORD": "wins"}).redis_password == "wins"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"x" * 65_537])
def test_file_that_holds_no_secret_is_named_with_its_variable(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingInvalid, match=r"THROUGHBEAT_KAFKA_PASSWORD_FILE: .*password"):
        read_settings({"THROUGHBEAT_KAFKA_PASSWORD_FILE": str(file)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kafka_url", "ada:hush@host:9092"),
        ("kafka_url", "kafka://host:9092/hush"),
        ("redis_url", "redis://:hu/sh@host:6379"),
        ("redis_url", "hush"),
        ("redis_url", "http://hush@host"),
        ("qdrant_url", "ftp://hush@host"),
        ("qdrant_url", "https://hush:hush"),
    ],
)
def test_address_that_cannot_be_used_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=f"THROUGHBEAT_{name.upper()}: expected") as refused:
        read_settings({f"THROUGHBEAT_{name.upper()}": value})
    assert "hu" not in str(refused.value)


def test_no_setting_shows_a_secret() -> None:
    settings = Settings(
        kafka_password="hush1",
        redis_password="hush2",
        qdrant_api_key="hush3",
        redis_url="redis://hush4@host?password=hush5",
        qdrant_url="https://hush6@host",
    )
    assert "hush" not in f"{settings!r} {settings}"


def test_certificates_for_a_connection_that_uses_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"THROUGHBEAT_REDIS_CA_FILE needs a rediss:// URL"):
        connect(Settings(redis_ca_file="ca.pem"))
    with pytest.raises(SettingInvalid, match=r"THROUGHBEAT_REDIS_CA_FILE.*nope\.pem"):
        connect(Settings(redis_ca_file=str(tmp_path / "nope.pem"), redis_url="rediss://host"))


@pytest.mark.parametrize("value", ["recommendation.replies,", ",", " ", "a b", "replies/..", "réponses"])
def test_list_of_reply_topics_that_would_let_in_any_is_refused(value: str) -> None:
    with pytest.raises(SettingInvalid, match="THROUGHBEAT_REPLY_TOPICS"):
        read_settings({"THROUGHBEAT_REPLY_TOPICS": value})


def test_reply_topics_are_told_apart() -> None:
    assert Settings(reply_topics="recommendation.replies, web-").reply_beginnings == ("recommendation.replies", "web-")


def test_process_that_is_started_with_our_settings_reads_no_other_secrets(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("of another installation")
    outside = {"THROUGHBEAT_REDIS_PASSWORD_FILE": str(tmp_path / "other"), "THROUGHBEAT_QDRANT_API_KEY": "other"}
    assert read_settings({**outside, **environment_of(Settings(data_dir=tmp_path))}).redis_password == ""
    ours = Settings(data_dir=tmp_path, redis_password="ours", qdrant_api_key="ours too")
    assert read_settings({**outside, **environment_of(ours)}) == ours
