"""Gates, exit rules, the choice of a contract and metrics as tables for people, made from the code's own sentences.

``python -m cli.catalogue FOLDER`` writes ``gates.md``, ``exits.md``, ``selection.md`` and ``metrics.md``; tests keep
them true.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from domain.candidates import FILTERS
from domain.checks import Code
from domain.exits import RULES
from domain.gates import GATES, SWITCHABLE
from domain.points import PARTS, WEIGHTS
from domain.sells import SELL_GATES
from monitoring.families import ACTOR_FAMILIES, EXPORTER_FAMILIES, Family

_MONITORING: Final = Path(__file__).resolve().parent.parent / "monitoring"
_RULES: Final = _MONITORING / "prometheus" / "alerts.yml"
_DASHBOARDS: Final = _MONITORING / "grafana" / "dashboards"


def gates_page() -> str:
    return _page(
        "The gates",
        "Every gate runs on every recommendation to buy, in this order, and each result is stored with what it observed"
        " and what it allows. An unknown input refuses; so does a gate that raises. Behind them stands the database."
        " A limit that is not set asks for nothing. Where `gapless.toml` sets what, for all, for a strategy and for an"
        f" account, is told there. A refusal has one of these codes: {', '.join(Code)}.",
        [("gate", "what must hold", _gates()), ("a SELL", "what must hold", _rows(SELL_GATES))],
    )


def exits_page() -> str:
    return _page(
        "The exit rules",
        "Evaluated on every tick of a held contract and on a timer, at the side that a close would trade at. The first"
        " that fires wins, so the order is the priority. An unknown price fires no rule of price.",
        [("rule", "when it closes", _rows(RULES))],
    )


def metrics_page() -> str:
    """Return the page of metrics; which alerts and dashboards use one is read from their files."""
    lead = (
        "Actors offer counters and latencies, each copy its own (`stack.metrics_port`). `gapless exporter` offers all"
        " state, once, read from PostgreSQL and Redis at every scrape. What nobody knows has no series: it is never 0."
        " Ages are in seconds of the stack's clock. A histogram has `_bucket`, `_sum` and `_count`."
    )
    rules = _RULES.read_text(encoding="utf-8") if _RULES.is_file() else ""
    dashboards = {file.stem: file.read_text(encoding="utf-8") for file in sorted(_DASHBOARDS.glob("*.json"))}
    return _metrics_page(lead, rules.split("      - alert: ")[1:], dashboards)


def _metrics_page(lead: str, rules: list[str], dashboards: Mapping[str, str]) -> str:
    lines = ["# The metrics", "", lead, "", "Made from the code by `python -m cli.catalogue docs`."]
    for title, families in (("an actor", ACTOR_FAMILIES), ("the exporter", EXPORTER_FAMILIES)):
        lines += ["", f"| {title} | type | labels | what it says | alerts | dashboards |", "|---|---|---|---|---|---|"]
        lines += [_metric(family, rules, dashboards) for family in families]
    return "\n".join(lines) + "\n"


def _metric(family: Family, rules: list[str], dashboards: Mapping[str, str]) -> str:
    name = rf"\b{family.name}(_bucket)?\b"
    alerts = ", ".join(rule.split("\n")[0] for rule in rules if re.search(name, rule))
    shown = ", ".join(board for board, text in dashboards.items() if re.search(name, text))
    labels = ", ".join(family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.help}. | {alerts} | {shown} |"


def selection_page() -> str:
    parts = [(name, f"{WEIGHTS[name]} points. {text}") for name, text in _rows(PARTS.values())]
    return _page(
        "The choice of a contract",
        "For a recommendation whose symbol is null, in a strategy with a `selection`. The part of the chain around the"
        " target strike is read from the brokerage; a contract falls at the first filter that it does not pass. What"
        " passes scores up to 100 points, and the highest score wins if it reaches min_score; a tie goes to the earlier"
        " expiration, then to the strike nearer to the target, then to the alphabet. What the feed does not say passes"
        " no floor and scores nothing. The winner meets every gate, and the decision keeps the best five with their"
        " points and where the others fell. A recommendation is decided once: it never gets another contract.",
        [("filter", "what must hold", _rows(FILTERS.values())), ("part", "what it is worth", parts)],
    )


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gates.md").write_text(gates_page(), encoding="utf-8")
    (folder / "exits.md").write_text(exits_page(), encoding="utf-8")
    (folder / "selection.md").write_text(selection_page(), encoding="utf-8")
    (folder / "metrics.md").write_text(metrics_page(), encoding="utf-8")


def _gates() -> list[tuple[str, str]]:
    return [(name, f"{text} May be switched off." if name in SWITCHABLE else text) for name, text in _rows(GATES)]


def _rows(functions: Iterable[Callable[..., Any]]) -> list[tuple[str, str]]:
    return [
        (function.__name__, " ".join((function.__doc__ or "").replace("``", "`").split())) for function in functions
    ]


def _page(title: str, lead: str, tables: Iterable[tuple[str, str, list[tuple[str, str]]]]) -> str:
    lines = [f"# {title}", "", f"{lead}", "", "Made from the code by `python -m cli.catalogue docs`."]
    for name, meaning, rows in tables:
        lines += ["", f"| {name} | {meaning} |", "|---|---|", *(f"| `{first}` | {second} |" for first, second in rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
