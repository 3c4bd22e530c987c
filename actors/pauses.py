"""The pauses of whoever asks in rounds: short at first, longer as it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

#: In seconds; each pause is longer than the one before.
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
_LONGER: Final = 1.5


def growing() -> Iterator[float]:
    """Yield the pauses between rounds, in seconds, without an end."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(pause_s * _LONGER, LONGEST_PAUSE_S)
