"""Why Kafka could not be reached: kept from each attempt, and said in one sentence with what to do."""

from __future__ import annotations

from typing import Any

from kafka.errors import (
    InvalidReceiveError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

REFUSED = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
OURS_WANTED, OURS_REFUSED = "CERTIFICATE_REQUIRED", ("BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_UNKNOWN")
# What a client of one protocol meets at a port of another.
OTHER_TONGUE = ("Handshake failed", "socket disconnected", "Invalid frame length")


class Attempts(KafkaConnectionManager):  # type: ignore[misc]
    """Keeps why a connection failed, which the library only logs, and gives up at once where trying again is no use."""

    failure: BaseException | None = None

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """As the library's. Raises what ended the first attempt when it would end every other one."""
        if self.failure is not None and not self.bootstrapped and _is_final(self.failure):
            raise self.failure
        connection = super().get_connection(*args, **options)
        connection.init_future.add_errback(self._keep)
        return connection

    def _keep(self, error: BaseException) -> None:
        self.failure = error if self.failure is None else more_telling(self.failure, error)


class AttemptingClient(KafkaNetClient):  # type: ignore[misc]
    """The library's network client with the manager above."""

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        self.attempts = Attempts(net, **configs)
        super().__init__(net, self.attempts, **configs)


def more_telling(before: BaseException, now: BaseException) -> BaseException:
    """Which of two failures to keep: the last one, unless it only says that its time was up, or the first was final.

    The last attempt of all is cut short, and has no time left to be told why.
    """
    return before if _is_final(before) or isinstance(now, RequestTimedOutError) else now


def _is_final(error: BaseException) -> bool:
    return isinstance(error, REFUSED) or UNTRUSTED in str(error)


def advice(error: BaseException, servers: str, protocol: str, user: str, mechanism: str) -> str:
    """What to tell a person whose client could not connect.

    Args:
        error: of the last attempt.
        servers: where it was tried.
        protocol: how.
        user: as whom, where the protocol asks.
        mechanism: of the login.
    """
    where, text = f"Kafka at {servers} by {protocol}", str(error)
    if UNTRUSTED in text:
        return (
            f"the certificate of {where} is not trusted ({_reason(text)}): name the file of the authority that signed "
            "it in THROUGHBEAT_KAFKA_CA_FILE, and in THROUGHBEAT_KAFKA_URL the host that it is for"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"{where} does not take {mechanism}: name one that it takes in THROUGHBEAT_KAFKA_SASL_MECHANISM"
    # A refused client may see the connection end before it sees why.
    if isinstance(error, SaslAuthenticationFailedError) or (protocol.startswith("SASL") and OTHER_TONGUE[1] in text):
        return (
            f"{where} does not let user {user!r} in with {mechanism}: check THROUGHBEAT_KAFKA_USERNAME, "
            "THROUGHBEAT_KAFKA_PASSWORD and THROUGHBEAT_KAFKA_SASL_MECHANISM"
        )
    if OURS_WANTED in text or any(one in text for one in OURS_REFUSED):
        does = "wants a certificate of ours" if OURS_WANTED in text else "refuses our certificate"
        return f"{where} {does}: name one that it trusts in THROUGHBEAT_KAFKA_CERTIFICATE_FILE"
    if isinstance(error, InvalidReceiveError) or any(one in text for one in OTHER_TONGUE):
        return (
            f"what answers at {servers} does not speak {protocol} ({text}): check THROUGHBEAT_KAFKA_SECURITY_PROTOCOL"
        )
    by = "" if protocol == "PLAINTEXT" else f" by {protocol}"
    reason = "" if isinstance(error, KafkaTimeoutError) or "ECONNREFUSED" in text else f" ({text})"
    return (
        f"no Kafka answers at {servers}{by}{reason}: "
        "start one with `throughbeat up`, or name another with --kafka or THROUGHBEAT_KAFKA_URL"
    )


def _reason(text: str) -> str:
    """OpenSSL's words without its file and line."""
    return text.rpartition("failed: ")[2].partition(" (_ssl")[0]
