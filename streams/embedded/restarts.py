"""When a child that died is started again."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """How patient a supervisor is.

    Attributes:
        first_delay_s: wait after the first death; doubles with each further one.
        longest_delay_s: the wait never grows beyond this.
        reset_after_s: a child that was ready for this long has its earlier deaths forgiven.
        first_attempts: how often a child may fail before it was ever ready; the next failure ends the supervisor.
    """

    first_delay_s: float = 0.5
    # With the seconds of a start, work goes on within 15 s of the end of whatever was wrong.
    longest_delay_s: float = 10.0
    reset_after_s: float = 60.0
    first_attempts: int = 3

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after the given number of deaths in a row, from 1 on."""
        doublings = min(failures - 1, 32)  # beyond it any sensible cap is long reached
        return float(min(self.first_delay_s * 2**doublings, self.longest_delay_s))

    def failures_after(self, failures: int, ready_for_s: float) -> int:
        """Count a death in, or start counting anew after a long life."""
        return 1 if ready_for_s >= self.reset_after_s else failures + 1
