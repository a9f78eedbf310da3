"""Where a command finds its installation, and how it tells what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from kafka.errors import KafkaTimeoutError

from models.errors import FeaturesMissing
from recall.errors import UnknownSeed
from streams.cli.options import one_line_errors, settings_from
from streams.embedded.errors import PortTaken
from streams.errors import SettingInvalid
from topics.errors import RecordRefused


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    stack = {"kafka": "127.0.0.1:9", "redis": "redis://127.0.0.1:8", "http": None, "data_dir": str(tmp_path)}
    (tmp_path / "stack.json").write_text(json.dumps(stack))
    return tmp_path


def test_running_stack_is_found_in_its_data_directory(data_dir: Path) -> None:
    settings = settings_from(data_dir=data_dir, environment={})
    assert (settings.kafka_url, settings.redis_url) == ("127.0.0.1:9", "redis://127.0.0.1:8")
    assert settings_from(environment={"THROUGHBEAT_DATA_DIR": str(data_dir)}).kafka_url == "127.0.0.1:9"


def test_running_stack_is_found_where_the_command_is_run(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data_dir / ".throughbeat").mkdir()
    (data_dir / "stack.json").rename(data_dir / ".throughbeat" / "stack.json")
    monkeypatch.chdir(data_dir)
    assert settings_from(environment={}).kafka_url == "127.0.0.1:9"


def test_environment_wins_over_the_running_stack_and_an_option_over_both(data_dir: Path) -> None:
    environment = {"THROUGHBEAT_KAFKA_URL": "b:1", "THROUGHBEAT_TOPIC_PREFIX": "acme", "THROUGHBEAT_REDIS_URL": ""}
    settings = settings_from(data_dir=data_dir, environment=environment)
    assert (settings.kafka_url, settings.topic_prefix, settings.redis_url) == ("b:1", "acme", "redis://127.0.0.1:8")
    chosen = settings_from("c:1", "other", data_dir, environment)
    assert (chosen.kafka_url, chosen.topic_prefix) == ("c:1", "other")


def test_nothing_given_and_nothing_running_means_the_defaults(tmp_path: Path) -> None:
    settings = settings_from(data_dir=tmp_path, environment={})
    assert (settings.kafka_url, settings.topic_prefix) == ("127.0.0.1:9092", "")


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"kafka": 5}'])
def test_damaged_stack_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stack.json").write_bytes(content)
    with pytest.raises(typer.BadParameter, match=r"stack\.json is no stack file"):
        settings_from(data_dir=tmp_path, environment={})


def told(error: Exception, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise error
    said = capsys.readouterr()
    assert said.out == ""
    return int(ended.value.code or 0), said.err


@pytest.mark.parametrize(
    "error",
    [
        RecordRefused("invalid", "expected this,\ngot that"),
        FeaturesMissing("expected this,\n  got that"),
        UnknownSeed("expected this, got that"),
        SettingInvalid("expected this, got that\n"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_of_every_layer_is_its_message_on_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(error, capsys) == (1, "throughbeat: expected this, got that\n")


def test_error_of_the_embedded_parts_of_kafka_and_of_files_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(PortTaken(9), capsys)[1].startswith("throughbeat: port 9 on 127.0.0.1 is taken")
    assert told(KafkaTimeoutError("too late"), capsys) == (1, "throughbeat: KafkaTimeoutError: too late\n")
    missing = FileNotFoundError(2, "No such file or directory", "/a/b")
    assert told(missing, capsys) == (1, "throughbeat: /a/b: No such file or directory\n")


def test_wrong_command_line_has_its_own_exit_code_and_names_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = told(typer.BadParameter("expected a FILE"), capsys)
    assert (code, line) == (2, "throughbeat: Invalid value: expected a FILE; see `throughbeat --help`\n")


def test_bug_says_that_it_is_one_and_how_to_see_where(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = told(KeyError("x"), capsys)
    assert code == 1
    assert line == "throughbeat: KeyError: 'x'; this is a bug: set THROUGHBEAT_LOG_LEVEL=debug to see where\n"


def test_traceback_is_shown_to_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHBEAT_LOG_LEVEL", "debug")
    with pytest.raises(RecordRefused), one_line_errors():
        raise RecordRefused("invalid", "expected this, got that")
