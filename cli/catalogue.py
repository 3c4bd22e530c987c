"""The gates and the exit rules as tables for people, made from the code's own sentences.

``python -m cli.catalogue FOLDER`` writes ``gates.md`` and ``exits.md``; a test keeps them true.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from domain.exits import RULES
from domain.gates import GATES
from domain.sells import SELL_GATES


def gates_page() -> str:
    return _page(
        "The gates",
        "Every gate runs on every recommendation to buy, in this order, and each result is stored with what it observed"
        " and what it allows. An unknown input refuses; so does a gate that raises. Behind them stands the database.",
        [("gate", "what must hold", _rows(GATES)), ("a SELL", "what must hold", _rows(SELL_GATES))],
    )


def exits_page() -> str:
    return _page(
        "The exit rules",
        "Evaluated on every tick of a held contract and on a timer, at the side that a close would trade at. The first"
        " that fires wins, so the order is the priority. An unknown price fires no rule of price.",
        [("rule", "when it closes", _rows(RULES))],
    )


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gates.md").write_text(gates_page(), encoding="utf-8")
    (folder / "exits.md").write_text(exits_page(), encoding="utf-8")


def _rows(functions: Iterable[Callable[..., Any]]) -> list[tuple[str, str]]:
    return [(function.__name__, " ".join((function.__doc__ or "").split())) for function in functions]


def _page(title: str, lead: str, tables: Iterable[tuple[str, str, list[tuple[str, str]]]]) -> str:
    lines = [f"# {title}", "", f"{lead}", "", "Made from the code by `python -m cli.catalogue docs`."]
    for name, meaning, rows in tables:
        lines += ["", f"| {name} | {meaning} |", "|---|---|", *(f"| `{first}` | {second} |" for first, second in rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
