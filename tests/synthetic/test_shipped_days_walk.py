"""The shipped days do what they are shipped for: walked by the documented rules, each exit and each limit occurs.

The walk below is a second, much smaller reading of the rules (entry at the ask, exits at the
bid, one look per quote minute). It judges the price paths, not our actors.
"""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

DAYS = Path(__file__).parents[2] / "days"
OVER_TRADING, FOUR_MINUTES = DAYS / "2026-02-03-over-trading", DAYS / "2026-02-04-four-minutes"

MINUTE = timedelta(minutes=1)
#: Positions, exposure, daily loss (dollars), contracts an order.
LIMITS = {"large": (5, 10_000, 500, 10), "tiny": (1, 2_000, 100, 1)}


@dataclass
class Held:
    """A position of the walk."""

    account: str
    symbol: str
    qty: int
    entry: Decimal
    at: datetime
    strategy: str
    peak: Decimal = Decimal(0)


@dataclass
class Walk:
    """What happened so far, and what is seen now."""

    close: datetime
    listed: dict[str, str]
    quotes: dict[str, tuple[Decimal | None, Decimal, datetime]] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    exits: dict[tuple[str, str], tuple[str, datetime, Decimal]] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    realised: Counter[str] = field(default_factory=Counter)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def table(path: Path) -> Iterator[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return csv.DictReader(text.splitlines())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def walk(folder: Path) -> Walk:
    """Play the folder: quotes first, then what the broker does, then recommendations, then the exit rules."""
    session = json.loads((folder / "session.json").read_text())
    now = Walk(moment(session["close"]), {row["symbol"]: row["type"] for row in table(folder / "contracts.csv")})
    steps: list[tuple[datetime, int, Any]] = [(moment(row["ts"]), 0, row) for row in table(folder / "quotes.csv.gz")]
    steps += [(moment(event["at"]), 1, event) for event in lines(folder / "broker_events.jsonl")]
    opened = delivered = moment(session["open"])
    for rec in lines(folder / "recommendations.jsonl"):
        delivered = max(moment(rec["at"]), delivered) if steps[-1][1] == 2 else moment(rec["at"])
        steps.append((delivered, 2, rec))
    steps += [(opened + MINUTE * n, 3, None) for n in range(391)]
    for at, kind, what in sorted(steps, key=lambda step: step[:2]):
        (see, broker_closes, consider, evaluate)[kind](now, at, what)
    return now


def see(now: Walk, at: datetime, row: dict[str, str]) -> None:
    now.quotes[row["symbol"]] = (Decimal(row["bid"]) if row["bid"] else None, Decimal(row["ask"]), at)
    for pos in now.held:
        if pos.symbol == row["symbol"] and row["bid"]:
            pos.peak = max(pos.peak, Decimal(row["bid"]))


def broker_closes(now: Walk, at: datetime, event: dict[str, Any]) -> None:
    [pos] = [pos for pos in now.held if (pos.account, pos.symbol) == (event["account"], event["symbol"])]
    leave(now, pos, "external", at)


def consider(now: Walk, at: datetime, rec: dict[str, Any]) -> None:
    for account in rec["accounts"]:
        key = (rec["id"], account)
        if key not in now.outcomes:
            now.outcomes[key] = sell(now, at, rec, account) if rec["action"] == "SELL" else buy(now, at, rec, account)


def sell(now: Walk, at: datetime, rec: dict[str, Any], account: str) -> str:
    for pos in now.held:
        if (pos.account, pos.symbol) == (account, rec["symbol"]):
            leave(now, pos, "signal", at)
            return "closed"
    return "not held"


def buy(now: Walk, at: datetime, rec: dict[str, Any], account: str) -> str:
    positions, exposure, loss, cap = LIMITS[account]
    if not now.quotes or at > now.close - 15 * MINUTE:
        return "session"
    bid, ask, quoted_at = now.quotes[rec["symbol"]]
    qty = min(cap, rec["qty"] if "qty" in rec else int(Decimal(rec["notional_usd"]) / (ask * 100)))
    mine = [pos for pos in now.held if pos.account == account]
    unrealised = sum((sum(now.quotes[p.symbol][:2]) / 2 - p.entry) * 100 * p.qty for p in mine)  # type: ignore[arg-type]
    checks = {
        "stale": (at - moment(rec["at"])).total_seconds() <= 300,
        "confidence": Decimal(rec["confidence"]) >= Decimal("0.55" if rec["strategy"] == "day_trade" else "0.45"),
        "mismatch": rec["instrument"] == now.listed[rec["symbol"]] and rec["symbol"].startswith(rec["underlying"]),
        "one-sided": bid is not None,
        "spread": bid is None or (ask - bid) / (ask + bid) * 2 <= Decimal("0.3"),
        "quote age": (at - quoted_at).total_seconds() <= 900,
        "duplicate": all(pos.symbol != rec["symbol"] for pos in mine),
        "positions": len(mine) + 1 <= positions,
        "exposure": sum(p.entry * p.qty * 100 for p in mine) + ask * qty * 100 <= exposure,
        "daily loss": now.realised[account] + unrealised > -loss,
    }
    refused = [name for name, holds in checks.items() if not holds]
    if refused:
        return ", ".join(refused)
    now.held.append(Held(account, rec["symbol"], qty, ask, at, rec["strategy"]))
    return f"opened {qty} at {ask}"


def evaluate(now: Walk, at: datetime, _: None) -> None:
    for pos in list(now.held):
        bid = now.quotes[pos.symbol][0]
        reason = why_leave(pos, bid, at, now.close) if bid is not None else None
        if reason is not None:
            leave(now, pos, reason, at)


def why_leave(pos: Held, bid: Decimal, at: datetime, close: datetime) -> str | None:
    gain = (bid - pos.entry) / pos.entry
    if gain <= Decimal("-0.5"):
        return "catastrophe"
    if at - pos.at >= 30 * MINUTE:
        if gain <= Decimal("-0.4"):
            return "stop"
        if gain >= Decimal("0.8"):
            return "target"
        if pos.peak >= pos.entry * Decimal("1.3") and bid <= pos.peak - (pos.peak - pos.entry) / 4:
            return "trailing"
    if pos.strategy == "day_trade" and at - pos.at >= 240 * MINUTE:
        return "max_hold"
    return "end_of_day" if pos.strategy == "day_trade" and at >= close - 5 * MINUTE else None


def leave(now: Walk, pos: Held, reason: str, at: datetime) -> None:
    bid = now.quotes[pos.symbol][0]
    assert bid is not None
    now.held.remove(pos)
    now.realised[pos.account] += int((bid - pos.entry) * 100) * pos.qty
    now.exits[pos.account, f"{pos.symbol} {pos.at:%H:%M}"] = (reason, at, bid)


def outcomes(now: Walk, account: str, prefix: str) -> list[str]:
    return [said for (rec, to), said in now.outcomes.items() if to == account and rec.startswith(prefix)]


def reasons(now: Walk) -> Counter[str]:
    return Counter(reason for reason, _, _ in now.exits.values())


def test_at_the_documented_sizes_dollars_decide():
    """
    The second order of the burst would make $13,900 and is refused, as are nine more; the last one
    ($1,640) fits beside the first ($7,200). Limits of five positions and $10,000. (Incident R03.)
    """
    now = walk(OVER_TRADING)

    assert ["opened 10 at 7.20", *["exposure"] * 10, "opened 10 at 1.64"] == outcomes(now, "large", "20260203-burst")


def test_at_a_tenth_of_the_sizes_the_count_decides():
    """All twelve again with one contract each: five open, seven are refused for the position count and nothing else."""
    now = walk(OVER_TRADING)

    tenth = outcomes(now, "large", "20260203-tenth")
    assert [f"opened 1 at {ask}" for ask in ("7.20", "6.70", "17.10", "14.40", "12.55")] == tenth[:5]
    assert ["positions"] * 7 == tenth[5:]


def test_the_burst_is_over_before_its_second_coming():
    """Both positions of the burst leave by a rule between the minimum hold and 18:30, so the tenths begin at zero."""
    now = walk(OVER_TRADING)

    first = {key: exit_ for key, exit_ in now.exits.items() if key[1].split()[1] in ("17:29", "17:41")}
    assert {"trailing", "stop"} == {reason for reason, _, _ in first.values()}
    assert all(at < moment("2026-02-03T18:30:00Z") for _, at, _ in first.values())


def test_every_exit_rule_for_day_trades_occurs_on_the_first_day():
    """Target, stop, trailing, catastrophe, maximum hold, signal and end of day each close something; none is left."""
    now = walk(OVER_TRADING)

    wanted = {"target", "stop", "trailing", "catastrophe", "max_hold", "signal", "end_of_day"}
    assert wanted == set(reasons(now))
    assert [] == now.held


def test_each_single_refusal_of_the_first_day_has_its_one_reason():
    """What is meant to be refused for one reason is refused for that one alone."""
    now = walk(OVER_TRADING)

    said = {rec.removeprefix("20260203-"): why for (rec, _), why in now.outcomes.items()}
    expected = {
        "before-open": "session",
        "tiny-02": "positions",
        "tiny-03": "positions",
        "wrong-type": "mismatch",
        "low-01": "confidence",
        "low-02": "confidence",
        "low-03": "confidence",
        "wide-spread": "spread",
        "no-bid": "one-sided",
        "stale": "stale",
        "never-short": "not held",
        "not-held": "not held",
        "too-late": "session",
        "after-close": "session",
    }
    assert expected == {name: said[name] for name in expected}


def test_the_broker_closes_two_positions_of_the_large_account_after_four_minutes():
    """BMY and WMT leave 4 min 20 s after they opened, by no rule of ours. (Incident R01.)"""
    now = walk(FOUR_MINUTES)

    external = {key: exit_[1] for key, exit_ in now.exits.items() if exit_[0] == "external"}
    assert {
        ("large", "BMY260220C00057500 16:06"): moment("2026-02-04T16:10:59Z"),
        ("large", "WMT260213C00130000 16:06"): moment("2026-02-04T16:11:00Z"),
    } == external


def test_the_tiny_account_keeps_the_contract_that_the_broker_closed_for_the_large_one():
    """Same contract, two accounts: in the tiny one it lives on to its own stop. (Incident R18.)"""
    now = walk(FOUR_MINUTES)

    reason, at, _ = now.exits["tiny", "BMY260220C00057500 16:06"]
    assert "stop" == reason
    assert at > moment("2026-02-04T17:00:00Z")


def test_amzn_is_not_sold_after_twenty_two_seconds_and_ends_small():
    """The minimum hold keeps what an older system sold at once; it leaves with the day, within 5 %. (Incident R31.)"""
    now = walk(FOUR_MINUTES)

    reason, _, bid = now.exits["large", "AMZN260220C00240000 18:03"]
    assert "end_of_day" == reason
    assert abs(bid / 10 - 1) < Decimal("0.05")


def test_intc_fits_beside_amzn_and_nothing_fits_beside_both():
    """$8,000 and $1,930 are held at 18:14; the documented UNH and CSCO entries of 20:12 then exceed $10,000."""
    now = walk(FOUR_MINUTES)

    assert ["opened 8 at 10.00"] == outcomes(now, "large", "20260204-amzn")
    assert ["opened 10 at 1.93"] == outcomes(now, "large", "20260204-intc")
    assert ["exposure", "exposure"] == outcomes(now, "large", "20260204-unh") + outcomes(now, "large", "20260204-csco")


def test_each_single_refusal_of_the_second_day_has_its_one_reason():
    """What is meant to be refused for one reason is refused for that one alone."""
    now = walk(FOUR_MINUTES)

    said = {rec.removeprefix("20260204-"): why for (rec, _), why in now.outcomes.items()}
    expected = {
        "wmt-again": "duplicate",
        "tiny-02": "positions",
        "wide-spread": "spread",
        "wrong-underlying": "mismatch",
        "low": "confidence",
        "stale": "stale",
        "after-close": "session",
    }
    assert expected == {name: said[name] for name in expected}


def test_a_swing_trade_is_the_only_thing_held_overnight():
    """Day trades are flat at the close; the tiny account keeps its one swing trade."""
    now = walk(FOUR_MINUTES)

    assert [("tiny", "PFE260220C00026500", "swing_trade")] == [(p.account, p.symbol, p.strategy) for p in now.held]
