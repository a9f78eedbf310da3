"""Every setting there is: one frozen object, read once from the environment.

Each field is set by `THROUGHBEAT_` and its name in capitals, e.g. `THROUGHBEAT_KAFKA_URL`. A secret may also be the
content of a file, which a variable with `_FILE` at its end names: `THROUGHBEAT_KAFKA_PASSWORD_FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from streams.environment import PREFIX, SECRETS, URLS, value_in, variable
from streams.errors import SettingInvalid
from streams.secrets import HIDDEN, shown_url
from streams.vectors import DeclaredVector, parse_vectors

__all__ = ["PREFIX", "Settings", "read_settings", "variable"]

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=1, le=65_535)]


class Settings(Struct, frozen=True, kw_only=True):
    """What an installation may decide.

    Attributes:
        kafka_url: bootstrap servers, `host:port[,host:port]`.
        kafka_security_protocol: how to talk to the brokers; the six settings after it go with it.
        kafka_ca_file: certificates to trust, in PEM; empty = the system's own. The same for Redis and Qdrant.
        kafka_certificate_file: our own certificate, for brokers that ask for one; `kafka_key_file` is its key.
        redis_url: `redis://`, `rediss://` (TLS) or `unix://` URL of Redis or Valkey, with the user if there is one.
        redis_password: kept apart from the URL, so that the URL may be shown.
        qdrant_url: URL of a Qdrant server; empty = Qdrant Edge inside the worker, in `data_dir`.
        data_dir: where the embedded parts keep their data, and the worker its index.
        topic_prefix: name of the installation, put before every topic and every Redis key.
        embeat_mlp_checkpoint: weights that embed tracks; empty = those that ship with the project.
        models_dir: versions of the models; empty = `models` in `data_dir`. Workers on several machines share it.
        track2vec_checkpoint: a model that `train track2vec` wrote, which learning goes on from; empty = from nothing.
            What is learned stays apart for each, so that naming another, or the former one, is all it takes.
        vectors: vectors of other models that tracks may bring in `embeddings`, each one more channel by sound:
            `name:dimension[:weight]`, comma-separated. Another list reads the catalogue from its beginning.
        replication: copies of each partition that Kafka keeps.
        partitions: partitions of each topic; 0 = the contract's own numbers.
        reply_topics: prefixes of the topics that a request may name for its reply, comma-separated.
        person_heard_max: tracks remembered as heard, the oldest forgotten first.
        person_rated_max: likes, dislikes, saves, blocks and follows remembered, each. With both bounds as they are, a
            person takes 0.7 kB of Redis after one event, 29 kB after some hundred, and never more than 500 kB.
        session_silence_s: how long somebody hears nothing before their session is over.
        session: whether what was heard just now moves a list; off is for comparing.
        past_sessions_max: past sessions that each answering worker holds, at 106 bytes each and 4 a track of it; the
            oldest are forgotten first.
        popularity_half_life_days: after how long a play counts half.
        rising_half_life_days: the same for the plays of late, which tell what rises.
        popularity_max: tracks whose plays are counted, per partition; the least played are forgotten first.
        ranking: `live` (learns and explores) or `off` (the order of channels and session alone, and nothing explored
            unless a request asks for it; what is shown is still learnt from).
        ranking_b: a version of the ranking beside the one that serves, for a share of the people, always the same ones;
            empty = none. `throughbeat evaluate ab` compares the two.
        ranking_b_share: that share, 0..1.
        exploration: times each surface's rate of exploration; 0 = only where a request asks for it.
        explored: `by belief` (the likelier good, the likelier drawn) or `by chance` (epsilon-greedy; for comparing).
        blends: how much each channel counts: `learned` by surface and by how well the listener is known, or always
            `balanced`.
        learning_half_life_days: after how long an impression counts half.
        learning_window_hours: how long after an answer a reaction to it still counts.
        learning_requests_max: answers that wait for reactions, per partition; the oldest are forgotten first. One takes
            some 3 kB of Redis with a list of 30, and never more than 80 kB.
        ranking_version_hours: how often the ranking is kept as a version to go back to.
        channels: channels of recall that are off or bounded, comma-separated: `NAME=off`, `NAME=TRACKS` (at most so
            many candidates) or `NAME=TRACKS/MS` (and left out when later than that).
        deadline_ms: of a request that names none.
        requests_at_once: answers worked on at once: few where the index is embedded and one thread does all the work,
            more where a server does part of it. Who waits too long for a turn is answered `overloaded`.
        requests_waiting: requests that may wait, for their turn or for events; those beyond are `overloaded` at once.
        retry_s: how long a record is retried while a store is away, before the worker ends and is started anew.
        optimise_above: tracks outside the search graph from which the embedded index is optimised.
        worker_name: of this worker alone among all that share its roles, the same at each start: it then takes its
            partitions back at once, and not when Kafka has missed its former self for 10 s; empty = none.
        watchdog_s: lag without progress for so long ends the worker; more than the 15 s in which a store is found away.
        metrics_port: of `/metrics`, `/healthz` and `/readyz`: a number, `auto` (a free one) or `off`; under
            `throughbeat up` the first worker's, the others take the next ones.
        metrics_host: the address that they listen at.
        log_format: lines of text, or one JSON object a line.
    """

    kafka_url: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: str = ""
    kafka_ca_file: str = ""
    kafka_certificate_file: str = ""
    kafka_key_file: str = ""
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_password: str = ""
    redis_ca_file: str = ""
    qdrant_url: str = ""
    qdrant_api_key: str = ""
    qdrant_ca_file: str = ""
    data_dir: Path = Path(".throughbeat")
    topic_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]*\Z", max_length=64)] = ""
    embeat_mlp_checkpoint: str = ""
    models_dir: str = ""
    track2vec_checkpoint: str = ""
    vectors: str = ""
    replication: Count = 1
    partitions: Annotated[int, Meta(ge=0, le=10_000)] = 0
    reply_topics: str = "recommendation.replies"
    person_heard_max: Count = 2_000
    person_rated_max: Count = 1_000
    session_silence_s: Annotated[float, Meta(gt=0, le=86_400)] = 1_800.0
    session: Literal["on", "off"] = "on"
    past_sessions_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 1_000_000
    popularity_half_life_days: Seconds = 90.0
    rising_half_life_days: Seconds = 7.0
    popularity_max: Count = 250_000
    ranking: Literal["live", "off"] = "live"
    ranking_b: str = ""
    ranking_b_share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    exploration: Annotated[float, Meta(ge=0, le=10)] = 1.0
    explored: Literal["by belief", "by chance"] = "by belief"
    blends: Literal["learned", "balanced"] = "learned"
    learning_half_life_days: Seconds = 30.0
    learning_window_hours: Annotated[float, Meta(gt=0, le=8_784)] = 24.0
    learning_requests_max: Count = 20_000
    ranking_version_hours: Seconds = 1.0
    channels: str = ""
    deadline_ms: Annotated[int, Meta(ge=1, le=600_000)] = 1_000
    requests_at_once: Count = 3
    requests_waiting: Count = 512
    retry_s: Seconds = 30.0
    optimise_above: Count = 10_000
    worker_name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]*\Z", max_length=100)] = ""
    watchdog_s: Seconds = 60.0
    metrics_port: Literal["auto", "off"] | Port = "auto"
    metrics_host: str = "127.0.0.1"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    def __post_init__(self) -> None:
        """Refuse addresses that cannot be meant, without repeating them: they may hold a password.

        Raises:
            ValueError: says what was expected.
        """
        if any(sign in self.kafka_url for sign in "@/"):
            raise ValueError(f"expected host:port[,host:port]; a user is {variable('kafka_username')}")
        _require_url(self.redis_url, "redis_password", ("redis", "rediss", "unix"))
        _require_url(self.qdrant_url or "http://none", "qdrant_api_key", ("http", "https"))
        parse_vectors(self.vectors)
        if not _CHANNELS.fullmatch(self.channels):
            raise ValueError("expected NAME=off, NAME=TRACKS or NAME=TRACKS/MS, comma-separated")
        if not all(_TOPIC_BEGINNING.fullmatch(one) for one in self.reply_beginnings):
            raise ValueError("expected beginnings of topic names of a-z, A-Z, 0-9, '.', '_' and '-', comma-separated")

    @property
    def reply_beginnings(self) -> tuple[str, ...]:
        """`reply_topics` one by one."""
        return tuple(one.strip() for one in self.reply_topics.split(","))

    @property
    def models_path(self) -> Path:
        """Where versions of models are kept."""
        return Path(self.models_dir) if self.models_dir else self.data_dir / "models"

    @property
    def declared_vectors(self) -> tuple[DeclaredVector, ...]:
        """`vectors` one by one."""
        return parse_vectors(self.vectors)

    def __repr__(self) -> str:
        """The settings without their secrets."""
        shown = {name: _shown(name, getattr(self, name)) for name in self.__struct_fields__}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


_CHANNELS = re.compile(r"(\s*[a-z0-9_]+=(off|[1-9]\d{0,4}(/[1-9]\d{0,5})?)\s*(,|\Z))*")
_TOPIC_BEGINNING = re.compile(r"[A-Za-z0-9._-]+")


def _shown(name: str, value: object) -> object:
    if name in SECRETS and value:
        return HIDDEN
    return shown_url(str(value)) if name in URLS else value


def _require_url(url: str, password: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.port != 0 and bool(parts.hostname or parts.path)
    except ValueError:
        # Its own message quotes the part of a password that it took for a port.
        usable = False
    if not usable:
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(
            f"expected a URL that begins with {expected}; a password is better kept in {variable(password)}"
        )


def read_settings(environment: Mapping[str, str], **overrides: object) -> Settings:
    """Settings from the environment; `overrides` (a command's options) win.

    Raises:
        SettingInvalid: a value is out of range or of the wrong kind; one sentence says which variable and why.
    """
    given: dict[str, object] = {
        name: said for name in Settings.__struct_fields__ if (said := value_in(environment, name)) is not None
    }
    given |= {name: value for name, value in overrides.items() if value is not None}
    for name, value in given.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise SettingInvalid(f"{variable(name)}: {error}") from None
    return msgspec.convert(given, Settings, strict=False, dec_hook=_path)


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise NotImplementedError(f"no setting of type {kind}")
