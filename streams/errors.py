"""What a running installation can fail at."""

from __future__ import annotations


class StreamError(Exception):
    """Root of everything this layer raises."""


class SettingInvalid(StreamError):
    """A setting in the environment cannot be used; the message names it."""


class StoreUnavailable(StreamError):
    """Redis did not answer, or refused; worth trying again."""


class StoreRefused(StoreUnavailable):
    """Redis answers and does not let us in; worth trying again only because somebody may mend it."""


class DeliveryStuck(StreamError):
    """A record could not be applied within the time allowed for retries; the worker must not go on."""


class Overloaded(StreamError):
    """More is asked than can be answered in time; worth asking again later."""


class UnknownRanking(StreamError):
    """No version of the ranking is called that; the message names those there are."""


class NothingToGoBackTo(StreamError):
    """No earlier version of the model is kept ready."""


class NotPromoted(StreamError):
    """A version does not serve after all; the message says why."""


class LogUnreadable(StreamError):
    """A file is no log of answers and reactions; the message names the line."""
