"""What the message layer tells others: hooks with no effect by default.

Metrics and alarms subclass :class:`StreamHooks`; this package knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An entry that *group* gives up, and why.

    ``entry_id`` with ``stream`` and ``group`` identifies it: after a crash the same letter
    may be announced again.
    """

    stream: str
    group: str
    entry_id: str
    fields: dict[bytes, bytes]
    reason: str
    attempts: int
    actor: str
    version: str
    at: datetime


class StreamHooks:
    """Called from consumer and worker threads; an implementation is quick and does not raise."""

    def batch_handled(self, stream: str, group: str, entries: int, seconds: float) -> None:
        """The handler took *seconds* for *entries*; their acknowledgement follows."""

    def retried(self, stream: str, group: str, kind: str, error: BaseException) -> None:
        """An entry failed and stays first in line; *kind* is ``transient`` or ``unexpected``."""

    def dead(self, letter: DeadLetter) -> None:
        """*letter* is on its dead stream and no longer pending."""

    def lost_by_trim(self, stream: str, group: str, entry_id: str) -> None:
        """A pending entry was trimmed away before it was handled: its content is gone."""

    def group_lost(self, stream: str, group: str) -> None:
        """The server no longer knew the group; it was made again at the stream's beginning."""
