"""What an operator does with versions of models: it is announced, and the workers follow."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from kafka.admin import KafkaAdminClient

from models.embeat_mlp import load_checkpoint
from models.registry import Registry, StoredVersion
from streams.connections import connection_of
from streams.errors import NotPromoted
from streams.lag import committed_offsets, end_offsets
from streams.serving.announcements import announce, read_updates
from streams.serving.checkpoints import MODEL, own_checkpoint, register
from streams.serving.collection_name import collection_name
from streams.serving.versions import live, promoted, pruned, rolled_back
from streams.settings import Settings
from topics.client import Client
from topics.errors import RequestTimedOut
from topics.records import ModelUpdate, RecommendationRequest
from topics.specs import CATALOG_TRACKS, full_name

LOOK_S = 0.2
ANSWER_WITHIN_S = 5.0


class Versions:
    """The registry and the announcements of one installation. Whatever asks Kafka raises BrokerUnavailable."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = Registry(settings.models_path)
        self._connection = connection_of(settings)

    def states(self) -> dict[str, ModelUpdate]:
        """What was announced last of each model."""
        return read_updates(self._connection, self._settings.topic_prefix)[0]

    def there(self, model: str | None) -> list[StoredVersion]:
        """The versions of a model, or of all, the newest first."""
        own_checkpoint(self._settings, self._registry)
        return self._registry.versions(model)

    def find(self, model: str, version: str) -> StoredVersion:
        """One version, unharmed. Raises as `Registry.find`."""
        own_checkpoint(self._settings, self._registry)
        return self._registry.find(model, version)

    def serving(self, model: str) -> str:
        """The version that serves.

        Raises:
            NotPromoted: none was announced.
        """
        return self._state(model).version

    def add(self, model: str, weights: Path) -> str:
        """Add a file of weights to the registry, once it is known to be of the model; its version.

        Raises:
            CheckpointMismatch: it is not.
            NotPromoted: weights of such a model come from elsewhere.
        """
        if model != MODEL:
            raise NotPromoted(f"expected a file of {MODEL}; versions of {model} are added by whoever trains them")
        load_checkpoint(weights)
        return register(self._registry, weights).version

    def promote(self, model: str, version: str) -> ModelUpdate:
        """Want a version to serve."""
        return self._announced(model, lambda state: promoted(state, version))

    def roll_back(self, model: str) -> ModelUpdate:
        """Let the version before serve. Raises NothingToGoBackTo where there is none."""
        return self._announced(model, rolled_back)

    def prune(self, model: str | None, keep: int) -> list[StoredVersion]:
        """Delete what neither serves nor is to, but for the newest `keep`; with none to keep, the one before too."""
        states = self.states()
        gone: list[StoredVersion] = []
        for name in {one.model for one in self.there(model)}:
            state = states.get(name)
            if state is not None and keep == 0 and state.previous is not None:
                state = self._announced(name, pruned)
            kept = live(state) if state is not None else set()
            spare = [one for one in self._registry.versions(name) if one.version not in kept]
            own = own_checkpoint(self._settings, self._registry) if name == MODEL else None
            beside = max(0, keep - (len(kept) - 1 if kept else 0))
            gone += [one for one in spare[beside:] if one.version != own]
        for one in gone:
            self._registry.remove(one.model, one.version)
        return gone

    def serves(self, state: ModelUpdate, version: str, deadline_s: float) -> bool:
        """Wait a little; whether answers name the version.

        Raises:
            NotPromoted: it is no longer to serve, or does not in time.
        """
        time.sleep(LOOK_S)
        now = self._state(state.model)
        if now.version == version and self._answers_name(state.model, version):
            return True
        if now.version != version and now.wanted != version:
            raise NotPromoted(now.refused or f"{now.version} serves: another command came meanwhile")
        if time.monotonic() > deadline_s:
            raise NotPromoted(
                f"{version} does not serve yet: `throughbeat models list` tells when, `doctor` what may be wrong"
            )
        return False

    def left(self, model: str) -> int:
        """Records of tracks that a version which is wanted has not read."""
        state = self._state(model)
        if state.wanted is None:
            return 0
        topic = full_name(CATALOG_TRACKS, self._settings.topic_prefix)
        group = topic.removesuffix(CATALOG_TRACKS.name) + "throughbeat.catalogue."
        group += collection_name(self._settings, state.wanted, state.fills.get(state.wanted, 0))
        admin = self._connection.open(KafkaAdminClient)
        try:
            committed = committed_offsets(admin, group)
            return sum(end - committed.get((topic, at), 0) for at, end in end_offsets(admin, topic).items())
        finally:
            admin.close()

    def _state(self, model: str) -> ModelUpdate:
        states = self.states()
        if model not in states:
            known = ", ".join(sorted(states)) or "none: has a worker run?"
            raise NotPromoted(f"expected a model that serves, got {model!r}; there: {known}")
        return states[model]

    def _announced(self, model: str, turn: Callable[[ModelUpdate], ModelUpdate]) -> ModelUpdate:
        return announce(self._connection, self._settings.topic_prefix, turn(self._state(model)))

    def _answers_name(self, model: str, version: str) -> bool:
        with Client(self._connection, self._settings.topic_prefix) as client:
            request = RecommendationRequest(request_id=f"models-{uuid.uuid4().hex}", limit=1)
            try:
                return client.ask(request, timeout_s=ANSWER_WITHIN_S).models.get(model) == version
            except RequestTimedOut:
                return False
