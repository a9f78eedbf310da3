"""What a model can fail at."""

from __future__ import annotations


class ModelError(Exception):
    """Root of everything this layer raises."""


class FeatureShapeError(ModelError):
    """An array has another number of columns than the model's configuration."""


class FeaturesMissing(ModelError):
    """A track cannot be embedded, because audio features are unknown; the message names them."""


class CheckpointMismatch(ModelError):
    """A file of weights is damaged, or of another model; the message names it."""


class VectorNotFinite(ModelError):
    """A model gave a row that is no unit vector (NaN, an infinity, zero); nothing of the batch may be used."""


class TooFewTracks(ModelError):
    """A catalogue is too small, or its tracks have too little in common, to learn from or to measure with."""


class EvidenceDamaged(ModelError):
    """What a ranking has learnt from cannot be used: bytes that are not what was written, or numbers that cannot be."""


class RewardOutOfRange(ModelError):
    """A reward that no behaviour earns, or that is no number; the message has it."""


class UnknownVersion(ModelError):
    """The registry holds no such version; the message says which there are."""


class VersionDamaged(ModelError):
    """A file of a version is not what was added to the registry; the message names it."""


class StateInUse(ModelError):
    """Another process learns into the same directory; the message names it."""


class TooFewTrials(ModelError):
    """A log has too few explored tracks to tell anything from."""
