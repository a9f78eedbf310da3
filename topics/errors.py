"""What can be wrong with a record or a conversation over Kafka."""

from __future__ import annotations


class TopicError(Exception):
    """Root of everything this layer raises."""


class RecordRefused(TopicError):
    """A record can never be applied, whoever tries and however often.

    Attributes:
        reason: a short stable code, written to the `dead_reason` header.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnknownTopic(TopicError):
    """A topic name is not one of the contract's."""


class RequestTimedOut(TopicError, TimeoutError):
    """No answer came before the caller's time-out."""


class PublishFailed(TopicError):
    """The broker did not acknowledge a record."""


class ClientClosed(TopicError):
    """The client was closed while, or before, it was asked."""
