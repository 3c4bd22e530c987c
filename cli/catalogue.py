"""Gates, exit rules, the choice of a contract and metrics as tables for people, made from the code's own sentences.

``python -m cli.catalogue FOLDER`` writes ``gates.md``, ``exits.md``, ``selection.md``, ``metrics.md`` and a drawing of
each exit rule; tests keep them true.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from actors.second_look import BLIND_AFTER, EVERY
from actors.watches import MAX_PRICE_AGE
from cli.exit_plots import draw
from cli.exit_scenes import SCENES
from domain.candidates import FILTERS
from domain.checks import Code, seconds
from domain.closing import FIRST_PAUSE, LONGEST_PAUSE, STRAIGHT
from domain.exits import RULES, Rule, reason_of
from domain.gates import GATES, SWITCHABLE
from domain.points import PARTS, WEIGHTS
from domain.prices import SAME_MOMENT
from domain.sells import SELL_GATES
from monitoring.families import ACTOR_FAMILIES, EXPORTER_FAMILIES, Family

_MONITORING: Final = Path(__file__).resolve().parent.parent / "monitoring"
_RULES: Final = _MONITORING / "prometheus" / "alerts.yml"
_DASHBOARDS: Final = _MONITORING / "grafana" / "dashboards"

_MADE: Final = "Made from the code by `python -m cli.catalogue docs`."


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
    lines = [
        "# The exit rules",
        "",
        "Evaluated on every tick of a held contract and on a timer, at the side that a close would trade at. The first"
        " that fires wins, so the order is the priority. An unknown price fires no rule of price, and nothing that is"
        " unknown ever closes a position. A rule whose setting is not there is off; `gapless config check` finds rules"
        " that contradict each other. A gain is the holder's: a short gains when the price falls.",
        "",
        _MADE,
        *_table(
            ("rule", "when it closes", "reported as"),
            [(f"`{rule.__name__}`", _sentence(rule), f"`{reason_of(rule.__name__)}`") for rule in RULES],
        ),
        *_table(("what else closes", "", "reported as"), _OTHERS),
        "",
        *_PRICES,
        "",
        *_POLICIES,
        "",
        "## How a position is left",
        "",
        *_LEAVING,
        *(line for rule in RULES for line in _exit_rule(rule)),
    ]
    return "\n".join(lines) + "\n"


_OTHERS: Final = (
    ("a SELL", "A recommendation to sell closes what it names, at most what is held.", "`signal`"),
    ("`gapless flatten`", "A person closes all that an account holds, at once.", "`manual`"),
    (
        "somebody else",
        "By hand, by a bracket leg, by a liquidation: an order that is not ours.",
        "`external`",
    ),
    ("`expired`", "It expired: it leaves at 0.", "`expiry`"),
    ("`exercised`, `assigned`", "At its end: it leaves at 0, and its shares come or go at the strike.", "`expiry`"),
    ("`cash_settled`", "At its end, for cash: it leaves at what it was worth.", "`expiry`"),
    ("`exercised_early`, `assigned_early`", "The same before its last session.", "`external`"),
    ("`delivered`", "Shares that left by an exercise or an assignment, at the strike.", "`external`"),
    (
        "`unconfirmed`",
        "A contract that has ended and is gone, and nobody has said why yet: at no price until the brokerage does.",
        "`external`",
    ),
)


_PRICES: Final = (
    f"A price is the bid of what is held (of a short the ask): positive, not crossed, at most {seconds(MAX_PRICE_AGE)}"
    f" old. There are two sources, the live feed and REST, which is asked every {seconds(EVERY)}; the newest market"
    f" time counts. Where quotes of the same {seconds(SAME_MOMENT)} differ by more than `max_price_divergence_pct` and"
    " by more than a spread, a rule closes only what it would close at both prices, no peak moves, nothing opens in the"
    " account, and PriceDivergence rings until they agree ([why](adr/0017-two-sources-of-prices.md)).",
    "",
    "Without a price a position is blind. Rules of price hold, because unknown never closes; rules of time go on and"
    f" close at the market. After {seconds(BLIND_AFTER)} REST is asked twice as often for it, after 5 min"
    " StaleTicksForOpenPosition rings and is sent again every 15 min, after `interlock.max_price_age_s` nothing opens"
    " in the account, and a person may `gapless flatten`.",
)


_POLICIES: Final = (
    "The numbers of all rules together are a policy. `[exits.option]` and `[exits.stock]` of the configuration hold"
    " for everybody; over them lie `[strategies.NAME.exits.option]` and then `[accounts.NAME.exits.option]`: the later"
    ' names a key, the later counts, and `"off"` switches a rule off. The version of a policy is a hash of its numbers'
    " and is stored with each position that it governs. A changed configuration is told on `decisions`"
    " (ExitPolicyChanged) and holds for new positions; what is held keeps its policy until a person says"
    " `gapless policy apply`, which is audited and told too (ExitPolicyApplied). `gapless policy show` tells what is"
    " held under another policy.",
)


_LEAVING: Final = (
    "`close_steps` leads a close to the market: each step is a limit at the bid (a short: at the ask), or `beyond_pct`"
    " per cent worse for us than that, on a grid that every class of contracts accepts, awaited `wait_s` seconds; then"
    " it is canceled, and after the last one a market order follows. Steps only move forward. Without a price, in the"
    " last minute of the session, for a SELL, and for"
    f" {', '.join(f'`{name}`' for name in sorted(STRAIGHT - {'manual'}))} and `gapless flatten` it is a market order at"
    " once. A refused close is tried again after a pause that doubles from"
    f" {FIRST_PAUSE.seconds} s to {LONGEST_PAUSE.seconds // 60} min and is never longer than a quarter of what is left"
    " of the session. Outside of the session nothing is sent: the close waits for the open, and CloseWaitsForOpen"
    " rings.",
)


def _exit_rule(rule: Rule) -> list[str]:
    """One rule with its settings and its drawing."""
    name, scene = rule.__name__, SCENES[rule.__name__]
    settings = [f"{key} = {_toml(value)}" for key, value in scene.settings.items()]
    return [
        "",
        f"## {name}",
        "",
        _sentence(rule),
        " ".join((rule.__doc__ or "").partition("\n\n")[2].split()),
        "",
        f"![{name}](images/exits/{name}.svg)",
        "",
        "Drawn with",
        "",
        "```toml",
        *settings,
        "```",
    ]


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _sentence(rule: Rule) -> str:
    """The first paragraph of the rule's docstring."""
    return " ".join((rule.__doc__ or "").partition("\n\n")[0].split())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


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
    drawings = folder / "images" / "exits"
    drawings.mkdir(parents=True, exist_ok=True)
    (folder / "gates.md").write_text(gates_page(), encoding="utf-8")
    (folder / "exits.md").write_text(exits_page(), encoding="utf-8")
    (folder / "selection.md").write_text(selection_page(), encoding="utf-8")
    (folder / "metrics.md").write_text(metrics_page(), encoding="utf-8")
    for rule in RULES:
        (drawings / f"{rule.__name__}.svg").write_text(draw(rule.__name__), encoding="utf-8")


def _gates() -> list[tuple[str, str]]:
    return [(name, f"{text} May be switched off." if name in SWITCHABLE else text) for name, text in _rows(GATES)]


def _rows(functions: Iterable[Callable[..., Any]]) -> list[tuple[str, str]]:
    return [
        (function.__name__, " ".join((function.__doc__ or "").replace("``", "`").split())) for function in functions
    ]


def _page(title: str, lead: str, tables: Iterable[tuple[str, str, list[tuple[str, str]]]]) -> str:
    lines = [f"# {title}", "", f"{lead}", "", _MADE]
    for name, meaning, rows in tables:
        lines += ["", f"| {name} | {meaning} |", "|---|---|", *(f"| `{first}` | {second} |" for first, second in rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
