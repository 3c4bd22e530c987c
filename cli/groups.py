"""Every stream of a stack with the groups that must have handled it."""

from __future__ import annotations

from collections.abc import Sequence

from streams.names import GROUPS, Stream, partitioned


def groups_of(partitions: int) -> dict[str, Sequence[str]]:
    """Return every stream key and the groups that must have handled it."""
    whole = {Stream.RECOMMENDATIONS, Stream.DECISIONS, Stream.CLOCK}
    found: dict[str, Sequence[str]] = {}
    for stream, groups in GROUPS.items():
        keys = [str(stream)] if stream in whole else [partitioned(stream, p) for p in range(partitions)]
        found |= dict.fromkeys(keys, groups)
    return found
