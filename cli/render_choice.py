"""How a decision came to its contract and its size, for people: beneath the checks that ``explain`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.cells import table


def choice(row: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Yield what there is to tell: the contracts that were considered, and the steps of the size."""
    if row["selection"] is not None:
        yield from _selection(row["selection"])
    if row["sizing_steps"] is None:
        yield Text(f"Size: {row['sizing']}")
        return
    steps = ((step["name"], step["qty"], step["why"]) for step in row["sizing_steps"])
    yield table("Size", ("step", ">left", "why"), steps)


def _selection(chosen: Mapping[str, Any]) -> Iterator[Table | Text]:
    parts = list(chosen["best"][0]["points"]) if chosen["best"] else []
    rows = (
        (
            Text("chosen", style="bold") if scored["symbol"] == chosen["symbol"] else "",
            scored["symbol"],
            scored["score"],
            *(scored["points"][part] for part in parts),
        )
        for scored in chosen["best"]
    )
    named = (f">{part.replace('_', ' ')}" for part in parts)
    yield table(f"Contract: {chosen['why']}", ("", "symbol", ">score", *named), rows)
    fallen = (
        f"{fell['count']} for {fell['filter'].replace('_', ' ')} ({fell['nearest']}...)" for fell in chosen["fallen"]
    )
    yield Text(f"Fallen, each with the nearest to {chosen['target_strike']}: " + (", ".join(fallen) or "none"))
