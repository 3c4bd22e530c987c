"""A position that is to be left, on a stage: bought, priced, filled in pieces, and how its closes stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import event

from brokerage.port import OrderRejected, OrderRequest
from domain.events import Fact, Side
from domain.exits import CloseStep
from domain.ids import AccountName
from streams.names import Stream, partitioned
from tests.factories import LARGE, a_policy, a_quote, a_recommendation, ticked
from tests.incidents.stage import Stage
from tests.simulation.exchange import Crash

SYMBOL = "MSFT260220P00400000"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
#: At the bid for three seconds, five per cent below it for three more, then at the market.
IN_STEPS = a_policy(
    min_hold=timedelta(0),
    close_steps=(
        CloseStep(beyond_pct=Decimal(0), wait=3 * SECOND),
        CloseStep(beyond_pct=Decimal(5), wait=3 * SECOND),
    ),
)
_CLOSES = (
    "SELECT limit_price, qty, filled_qty, status, coalesce(reject_code, '') FROM orders"
    " WHERE NOT opening AND NOT external AND account = :account ORDER BY approved_at, submitted_at NULLS LAST, order_id"
)


def hold(stage: Stage, qty: int = 10, account: AccountName = LARGE, symbol: str = SYMBOL) -> None:
    """Buy *qty* at 5.00, filled in one piece."""
    stage.prices[symbol] = (Decimal("4.90"), Decimal("5.00"))
    name = f"rec-{account}-{symbol}"
    stage.publish(
        Stream.RECOMMENDATIONS, a_recommendation(id=name, at=stage.now, symbol=symbol, qty=qty, accounts=(account,))
    )
    stage.deliver()
    fill(stage, account=account)


def fill(stage: Stage, qty: int | None = None, account: AccountName = LARGE, *, hear: bool = True) -> None:
    """Let the brokerage fill *qty* of every open order of *account*, or all of it; *hear* of it at once, or later."""
    brokerage = stage.brokerages[account]
    brokerage.rng.randint = lambda _, left: left if qty is None else min(qty, left)  # type: ignore[method-assign]
    for order in brokerage.open_orders():
        brokerage.fill(order.broker_order_id)
    if hear:
        stage.deliver()


def tick(stage: Stage, bid: str | None, after: timedelta = SECOND, symbol: str = SYMBOL) -> None:
    """Some time passes, then the market shows *bid* and ten cents more; without a bid it shows the ask alone."""
    stage.now += after
    ask = str(Decimal(bid) + Decimal("0.10")) if bid else "5.00"
    if bid:
        stage.prices[symbol] = (Decimal(bid), Decimal(ask))
    stage.publish(partitioned(Stream.TICKS, 0), ticked(a_quote(symbol, bid, ask, at=stage.now), at=stage.now))
    stage.deliver()


def pass_time(stage: Stage, seconds: int) -> None:
    """Second by second, as the timers run."""
    for _ in range(seconds):
        stage.sweep(after=SECOND)


def closes(stage: Stage, account: AccountName = LARGE) -> list[tuple[str, int, int, str, str]]:
    """Every close of ours: its limit or "market", quantity, what it filled, status and code."""
    rows = stage.rows(_CLOSES, account=account)
    return [("market" if row[0] is None else f"{row[0]:.2f}", *row[1:]) for row in rows]


def sell_by_hand(stage: Stage, qty: int, account: AccountName = LARGE) -> None:
    """A person sells *qty* of what no order holds, at the brokerage."""
    brokerage = stage.brokerages[account]
    brokerage.rng.randint = lambda low, high: min(qty, high)  # type: ignore[method-assign]
    brokerage.sell_behind_our_back()


@contextmanager
def unheard(stage: Stage, account: AccountName = LARGE) -> Iterator[list[Fact]]:
    """What the brokerage does meanwhile, nobody hears of: its news are in the list."""
    brokerage, news = stage.brokerages[account], list[Fact]()
    heard, brokerage.emit = brokerage.emit, news.append
    yield news
    brokerage.emit = heard


def tell(stage: Stage, news: Sequence[Fact]) -> None:
    """Deliver what was *unheard*."""
    for fact in news:
        stage.publish(partitioned(Stream.FILLS, 0), fact)
    stage.deliver()


@contextmanager
def refusing(stage: Stage, account: AccountName = LARGE) -> Iterator[list[OrderRequest]]:
    """The brokerage refuses every close meanwhile; the list is what it was asked for."""
    brokerage, asked = stage.brokerages[account], list[OrderRequest]()
    taking = brokerage._refuse_what_alpaca_refuses

    def refuse(order: OrderRequest) -> None:
        if order.intent.opens:
            return taking(order)
        asked.append(order)
        raise OrderRejected(403, "40310000", "account is restricted")

    brokerage._refuse_what_alpaca_refuses = refuse  # type: ignore[method-assign]
    yield asked
    brokerage._refuse_what_alpaca_refuses = taking  # type: ignore[method-assign]


@contextmanager
def dying(stage: Stage, where: str, nth: int, account: AccountName = LARGE) -> Iterator[None]:
    """The process dies when it comes to *where* (``begin``, ``commit``, a seam of the brokerage) the *nth* time."""
    brokerage, left = stage.brokerages[account], [nth]

    def come(to: str) -> None:
        if to == where:
            left[0] -= 1
            if left[0] == -1:
                raise Crash

    listeners = [(name, lambda _, name=name: come(name)) for name in ("begin", "commit")]
    for name, listener in listeners:
        event.listen(stage.engine, name, listener)
    alive, brokerage.seam = brokerage.seam, come
    try:
        yield
    finally:
        brokerage.seam = alive
        for name, listener in listeners:
            event.remove(stage.engine, name, listener)


def position(stage: Stage, account: AccountName = LARGE) -> Any:
    """Quantity, rule that asked, rule that closed, and failed closes of the one position."""
    return stage.one(
        "SELECT qty, triggered_rule, exit_rule, close_tries FROM positions JOIN exit_plans USING (position_id)"
        " WHERE account = :account",
        account=account,
    )


def sold(stage: Stage, account: AccountName = LARGE) -> int:
    """How many units the brokerage has ever sold for us or for others."""
    return sum(e.qty for e in stage.brokerages[account].filled if e.side is Side.SELL)
