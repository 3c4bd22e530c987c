"""How to behave while a server is away, or an entry fails: ask again soon, speak once."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

#: The pauses between two tries, in seconds: the first, and the longest after doubling.
FIRST_PAUSE_S, MAX_PAUSE_S = 0.05, 1.0


class Outage:
    """Remembers whether *what* is out of reach, and for how long to leave the server alone."""

    def __init__(self, what: str) -> None:
        self.what, self._pause_s = what, 0.0

    def continues(self, error: BaseException) -> float:
        """One more failure: return the seconds to wait."""
        if not self._pause_s:
            log.warning("cannot reach %s: %s", self.what, error)
        self._pause_s = min(max(FIRST_PAUSE_S, self._pause_s * 2), MAX_PAUSE_S)
        return self._pause_s

    def is_over(self) -> None:
        """The server answered."""
        if self._pause_s:
            log.warning("%s is reached again", self.what)
        self._pause_s = 0.0


class Pause:
    """How long a reader leaves its stream alone after a failure."""

    def __init__(self) -> None:
        self._ends_at = 0.0  # monotonic seconds

    def begin(self, seconds: float) -> None:
        """Read on in so many seconds."""
        self._ends_at = time.monotonic() + seconds

    def is_over_by(self, deadline: float) -> bool:
        """Sleep out the pause, at most until *deadline* (monotonic seconds); True when it is over."""
        time.sleep(max(0.0, min(self._ends_at, deadline) - time.monotonic()))
        return time.monotonic() >= self._ends_at
