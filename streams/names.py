"""The streams, who reads them, and how a partition is named.

recommendations -> gate -> entries | exits -> executor -> (Alpaca) -> fills -> tracker -> decisions
ticks -> exit -> exits

``clock`` is written only by a recorded day: actors run their timers on it instead of on the wall.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from zlib import crc32


class Stream(StrEnum):
    RECOMMENDATIONS = "recommendations"
    ENTRIES = "entries"
    EXITS = "exits"
    FILLS = "fills"
    TICKS = "ticks"
    DECISIONS = "decisions"
    CLOCK = "clock"


#: The consumer groups of each stream: one per actor.
GROUPS: Final[Mapping[Stream, tuple[str, ...]]] = {
    Stream.RECOMMENDATIONS: ("gate",),
    Stream.ENTRIES: ("executor",),
    Stream.EXITS: ("executor",),
    Stream.FILLS: ("tracker",),
    Stream.TICKS: ("exit",),
    Stream.DECISIONS: ("exit",),
    Stream.CLOCK: ("executor-entries", "executor-exits", "exit", "feeds", "reconciler"),
}

#: Counts the data messages that feeds has put on streams, by source: a hash.
FED_KEY: Final = "gapless:fed"

#: When each symbol that feeds has put on the stream was last quoted, in seconds since 1970: a hash.
QUOTED_KEY: Final = "gapless:quoted"

#: Ticks may be dropped by length: a newer one says more. No other stream is ever trimmed by length.
TICKS_MAXLEN: Final = 1_000_000


def partitioned(stream: Stream, partition: int) -> str:
    """Return the key of one partition; the braces let a Redis Cluster spread partitions over its nodes."""
    return f"{stream}.{{{partition}}}"


def dead(stream: str, group: str) -> str:
    return f"{stream}.{group}.dead"


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of *key* (an account or a symbol), the same on every machine and in every run."""
    return crc32(key.encode()) % partitions
