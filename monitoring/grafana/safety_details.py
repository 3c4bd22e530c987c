"""The lower part of "Safety": accounts, alerts and positions as tables, and how they came there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from monitoring import families as of
from monitoring.grafana.parts import GREEN, RED, graph, listing
from monitoring.grafana.queries import none_if, series

_ACCOUNT: Final = "account"
_POSITION: Final = "account, symbol"


def details() -> Iterator[Builder[Panel]]:
    return chain((_accounts(), _ringing(), _positions()), _over_time())


def _accounts() -> table.Panel:
    return listing(
        "Accounts",
        "Each account with its limits. A profit is unknown once a position left without a known price.",
        {
            "state is": (_one(f"{series(of.STATE)} == 1", "account, state"), "none"),
            "positions": (_one(series(of.OPEN_POSITIONS), _ACCOUNT), "none"),
            "with reserved": (_one(series(of.COMMITTED), _ACCOUNT), "none"),
            "position limit": (_one(series(of.MAX_POSITIONS), _ACCOUNT), "none"),
            "bound": (_one(series(of.EXPOSURE), _ACCOUNT), "currencyUSD"),
            "dollar limit": (_one(series(of.MAX_EXPOSURE), _ACCOUNT), "currencyUSD"),
            "realised": (_one(series(of.REALIZED), _ACCOUNT), "currencyUSD"),
            "daily loss limit": (_one(series(of.MAX_LOSS), _ACCOUNT), "currencyUSD"),
            "loss limit hit": (_one(series(of.LOSS_LATCHED), _ACCOUNT), "bool_yes_no"),
            "contracts an order": (_one(series(of.MAX_CONTRACTS), _ACCOUNT), "none"),
            "fills missing": (_one(series(of.UNAPPLIED), _ACCOUNT), "none"),
            "compared": (_one(series(of.RECONCILE_AGE), _ACCOUNT), "s"),
        },
        hidden=("Value #A",),
        runbook="AccountNotActive",
        span=24,
        height=5,
    )


def _ringing() -> table.Panel:
    return listing(
        "Alerts that ring",
        "Every alert that fires now. Watchdog always does: without it nothing is evaluated.",
        {"ringing": ('ALERTS{alertstate="firing"}', "bool_yes_no")},
        hidden=("alertstate", "Value"),
        runbook="Watchdog",
        span=9,
    )


def _positions() -> table.Panel:
    return listing(
        "Open positions",
        "What is held: by our rows, and by the brokerage's book when it was last compared.",
        {
            "ours": (_one(series(of.QUANTITY, 'source="rows"'), _POSITION), "none"),
            "brokerage's": (_one(series(of.QUANTITY, 'source="broker"'), _POSITION), "none"),
            "held for": (_one(series(of.POSITION_AGE), _POSITION), "s"),
            "quote is old": (_one(series(of.TICK_AGE), _POSITION), "s"),
            "price is old": (_one(series(of.PRICE_AGE), _POSITION), "s"),
            "disputed": (_one(series(of.DISPUTED), _POSITION), "bool_yes_no"),
            "failed closes": (_one(series(of.FAILED_CLOSES), _POSITION), "none"),
        },
        no_rows="nothing is held, or unknown if the state cannot be read",
        runbook="PositionAtBrokerNotInDatabase",
        span=15,
    )


def _over_time() -> Iterator[timeseries.Panel]:
    yield graph(
        "Dollars bound, against the limit",
        "Held and reserved at entry prices.",
        {"{{account}}": series(of.EXPOSURE), "{{account}} limit": series(of.MAX_EXPOSURE)},
        unit="currencyUSD",
        runbook="ExposureOverLimit",
    )
    yield graph(
        "Positions, against the limit",
        "Held and reserved.",
        {"{{account}}": series(of.COMMITTED), "{{account}} limit": series(of.MAX_POSITIONS)},
        unit="none",
        runbook="PositionCountOverLimit",
    )
    yield graph(
        "Realised profit",
        "Since the ledger began. A line ends where a position left without a known price.",
        {"{{account}}": series(of.REALIZED)},
        unit="currencyUSD",
        steps=((None, RED), (0, GREEN)),
    )
    yield graph(
        "Reserved by orders under way",
        "Opening orders that can still fill, and the dollars that they bind.",
        {"{{account}} dollars": series(of.RESERVED), "{{account}} orders": series(of.RESERVATIONS)},
        unit="none",
    )
    yield graph(
        "Closes that wait for the open",
        "Positions that are to be left while the market is closed: they are held over night.",
        {"{{account}}": series(of.CLOSES_WAITING)},
        unit="none",
        steps=((None, GREEN), (1, RED)),
        runbook="CloseWaitsForOpen",
    )
    yield graph(
        "Oldest prices of what is held",
        "The ten positions whose leaving side was a price longest ago.",
        {"{{account}} {{symbol}}": f"topk(10, {series(of.PRICE_AGE)})"},
        unit="s",
        steps=((None, GREEN), (300, RED)),
        runbook="StaleTicksForOpenPosition",
    )
    yield graph(
        "Disputed prices",
        "Positions about which two sources of prices contradict each other.",
        {"{{account}}": f"sum by (account) ({series(of.DISPUTED)})"},
        unit="none",
        steps=((None, GREEN), (1, RED)),
        runbook="PriceDivergence",
    )
    yield graph(
        "Rejected in the last five minutes",
        "Orders that the brokerage did not take, by what they were for and why.",
        {
            "{{account}} {{action}} {{code}}": none_if(
                f"sum by (account) ({series(of.OPEN_POSITIONS)})",
                f"topk(10, sum by (account, action, code) ({series(of.REJECTED)}))",
            )
        },
        unit="none",
        runbook="OrderIntentMismatch",
    )


def _one(expr: str, labels: str) -> str:
    """One row for *labels*: the columns of a table are joined by all labels that are left, the metric's name too."""
    return f"max by ({labels}) ({expr})"
