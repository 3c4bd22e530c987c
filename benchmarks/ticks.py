"""How many ticks a second one exit process takes, how long a decision takes, and whether a burst hides a stop.

A thousand contracts tick, hundreds of them are open positions: opened through the real executor at a local Alpaca over
HTTP, written by the real tracker. The exit is a process as ``gapless actor exit`` runs it, on embedded Valkey and
PostgreSQL that wait for the disk. In the same run, a bare loop in a process of its own (XREADGROUP in batches through
hiredis, msgspec, a dictionary, XACK) reads as many entries of the same kind. One tick is one quote.

    python -m benchmarks.ticks [--short] [--json] [--only PART ...]

1. capacity: a backlog is drained; ticks a second, and the processor time of a tick, with one quote an entry and ten.
2. sustained: ticks come at ``--rate`` a second; is the exit behind when they end?
3. tick to decision at 10,000 ticks a second: from the entry's own stream time until exit has judged it; and, for stops
   that are touched meanwhile, until the closing order is committed.
4. first touch of a stop (before XADD) until the local Alpaca has taken the closing order over HTTP and a row says so.
5. a burst of 50,000 ticks in which stops are touched once and the price comes back: each has exactly one closing order.

Everything shares one machine: exit, servers, producer, executor, local Alpaca. So each part also says the load average.
``--short`` takes under a minute, the full run about two.
"""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from benchmarks.of_ticks.load import require_like_encode
from benchmarks.of_ticks.market import a_market
from benchmarks.of_ticks.measures import Bench, Size
from benchmarks.of_ticks.profile import profile

FULL: Final = Size(backlog=100_000, rounds=3, seconds=10.0, touches=50, burst=50_000, one_by_one=50)
SHORT: Final = Size(backlog=30_000, rounds=1, seconds=3.0, touches=20, burst=50_000, one_by_one=20)
HELD: Final = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="smaller numbers, under a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--rate", type=int, default=50_000, help="ticks a second that are to be sustained")
    parser.add_argument("--contracts", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=Bench.PARTS, default=Bench.PARTS, help="some of the parts")
    parser.add_argument(
        "--profile", action="store_true", help="instead, say where time goes while a backlog is drained"
    )
    given = parser.parse_args()
    require_like_encode()
    size = SHORT if given.short else FULL
    # Whatever is closed on the way, 200 are held to the end.
    held = HELD + 2 * size.touches + size.one_by_one
    with a_market(given.contracts, held) as market:
        if given.profile:
            print(profile(market, size.backlog))
            return
        found = Bench(market, size, given.rate).measure(given.only)
    print(json.dumps(found, indent=2) if given.json else table(found))


def table(found: dict[str, Any]) -> str:
    """Return one line for each number: what it is, what it is to be, and the load average while it was measured."""
    lines = [found["machine"], f"{'':58} {'measured':>12} {'target':>10} {'load':>6}"]
    for part in found["parts"]:
        for row in part["rows"]:
            target = "" if row["target"] is None else str(row["target"])
            lines.append(f"{row['what']:58} {row['measured']!s:>12} {target:>10} {part['load']:>6}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
