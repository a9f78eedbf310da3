"""Where the metrics of the embedded workers are, written so that Prometheus reads it as it is (file_sd_configs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from streams.embedded.ports import HOST, free_port
from streams.settings import Settings

FILE = Path("run") / "metrics.json"
# Addresses to listen at that are none to call.
EVERYWHERE = ("0.0.0.0", "::", "")


class Target(msgspec.Struct, frozen=True):
    """Addresses to scrape, and what they are of."""

    targets: tuple[str, ...]
    labels: dict[str, str]


def choose_addresses(settings: Settings, workers: Sequence[str]) -> dict[str, str]:
    """Worker -> `host:port` of its metrics, which stays over its restarts; empty when they are off."""
    port = settings.metrics_port
    if port == "off":
        return {}
    ports = [free_port() if port == "auto" else port + number for number in range(len(workers))]
    host = HOST if settings.metrics_host in EVERYWHERE else settings.metrics_host
    return {name: f"{host}:{port}" for name, port in zip(workers, ports, strict=True)}


def encode_targets(addresses: Mapping[str, str]) -> bytes:
    """The content of the file."""
    return msgspec.json.encode([Target((address,), {"worker": name}) for name, address in addresses.items()])


def read_targets(data_dir: Path) -> dict[str, str]:
    """Worker -> `host:port`; none where no stack runs, or none with metrics."""
    try:
        found = msgspec.json.decode((data_dir / FILE).read_bytes(), type=list[Target])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return {one.labels.get("worker", ""): one.targets[0] for one in found if one.targets}
