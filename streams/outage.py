"""How to behave while a server is away: ask again soon, speak once."""

from __future__ import annotations

import logging

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
