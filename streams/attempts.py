"""How often an entry was tried alone: evidence against it that survives the process.

One hash per group, ``<stream>.<group>.attempts``: entry id -> tries. The count goes up
*before* a try, so a try that kills the process is counted as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis


class Attempts:
    """Tries per entry of one (stream, group)."""

    def __init__(self, client: redis.Redis, stream: str, group: str) -> None:
        self.client, self.key = client, f"{stream}.{group}.attempts"

    def of(self, entry_ids: Sequence[str]) -> list[int]:
        """Return the tries of each entry, in the order given."""
        if not entry_ids:
            return []
        counts: Any = self.client.hmget(self.key, list(entry_ids))
        return [int(count or 0) for count in counts]

    def add(self, entry_id: str) -> int:
        """Count one more try and return how many there are now."""
        count: Any = self.client.hincrby(self.key, entry_id, 1)
        return int(count)

    def take_back(self, entry_id: str) -> None:
        """Uncount the last try: the world failed, not the entry."""
        self.client.hincrby(self.key, entry_id, -1)
