"""The trading API's JSON: numbers are strings, absent values are null, times are UTC with nine decimals."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from paper import times, valuation
from paper.book import Account, Activity, NonTrade, Position
from paper.instruments import Contract, Stock
from paper.market import Market
from paper.numbers import average, plain, rounded
from paper.order import Order
from paper.sessions import Calendar
from paper.updates import Update

JSON = dict[str, Any]


def _time(at: datetime | None) -> str | None:
    return times.nanos(at) if at else None


def _number(value: Decimal | None) -> str | None:
    return plain(value) if value is not None else None


def order(order: Order, *, rolled_up: bool = True) -> JSON:
    """An order as every endpoint shows it; *rolled_up* shows the exits of a group inside its first order.

    The legs of a multi-leg order are always inside.
    """
    filled = order.filled_qty
    shown: JSON = {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": _time(order.submitted_at),
        "updated_at": _time(order.updated_at),
        "submitted_at": _time(order.submitted_at),
        "filled_at": _time(order.filled_at),
        "expired_at": _time(order.expired_at),
        "expires_at": _time(order.expires_at),
        "canceled_at": _time(order.canceled_at),
        "failed_at": _time(order.failed_at),
        "replaced_at": _time(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": order.instrument.asset_id,
        "symbol": order.symbol,
        "asset_class": order.instrument.asset_class,
        "notional": _number(order.notional),
        "qty": plain(order.qty) if order.notional is None else None,
        "filled_qty": plain(filled),
        "filled_avg_price": plain(average(order.filled_value, filled)) if filled else None,
        "order_class": _order_class(order),
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "position_intent": order.intent or None,
        "time_in_force": order.time_in_force,
        "limit_price": _number(order.limit_price),
        "stop_price": rounded(order.stop_level) if order.stop_level is not None else None,
        "status": order.status,
        "extended_hours": order.extended_hours,
        "legs": [_leg(leg) for leg in order.legs] if order.is_combination or (rolled_up and order.legs) else None,
        "trail_percent": _number(order.prices.trail_percent),
        "trail_price": _number(order.prices.trail),
        "hwm": _number(order.hwm),
        "subtag": None,
        "source": None,
    }
    if order.group_id is not None:
        shown |= {"group_id": order.group_id, "group_role": order.group_role}
    return shown


def _leg(leg: Order) -> JSON:
    ratio = {"ratio_qty": plain(leg.ratio)} if leg.ratio is not None else {}
    return order(leg, rolled_up=False) | ratio


def _order_class(order: Order) -> str:
    """Options say "simple" where stocks say nothing."""
    return order.order_class or ("simple" if isinstance(order.instrument, Contract) else "")


def trade_update(update: Update, calendar: Calendar) -> JSON:
    """An event of the trade_updates stream."""
    shown = order(update.order, rolled_up=False)
    data: JSON = {
        "at": times.nanos(update.at),
        "event_id": update.event_id,
        "event": update.event,
        "timestamp": times.nanos(update.at),
        "order": shown | {"cancel_requested_at": _time(update.order.cancel_requested_at)},
    }
    if update.execution is None:
        return {"stream": "trade_updates", "data": data}
    data["execution_id"] = update.execution.id
    if update.execution.qty:
        data["price"] = plain(update.execution.price)
        data["qty"] = plain(update.execution.qty)
        data |= _positions_after(update)
        data["swap_rate"] = "1"
        data["settle_date"] = calendar.opening_after(update.at).day.isoformat()
    return {"stream": "trade_updates", "data": data}


def _positions_after(update: Update) -> JSON:
    """What is held after an execution; of a multi-leg order for each of its legs, with what each had of it."""
    if not update.leg_fills:
        return {"position_qty": plain(update.position_qty)}
    return {
        "position_qtys": {fill.leg.symbol: plain(fill.position_qty) for fill in update.leg_fills},
        "legs": [
            {
                "execution_id": fill.execution.id,
                "qty": plain(fill.execution.qty),
                "price": plain(fill.execution.price),
                "order_id": fill.leg.id,
                "symbol": fill.leg.symbol,
                "timestamp": times.nanos(update.at),
            }
            for fill in update.leg_fills
        ],
    }


def activity(entry: Activity) -> JSON:
    """An execution in the list of activities."""
    return {
        "activity_type": "FILL",
        "id": entry.id,
        "cum_qty": plain(entry.cum_qty),
        "leaves_qty": plain(entry.leaves_qty),
        "order_id": entry.order_id,
        "order_status": entry.order_status,
        "price": plain(entry.price),
        "qty": plain(entry.qty),
        "side": entry.side,
        "symbol": entry.symbol,
        "transaction_time": times.nanos(entry.at),
        "type": "partial_fill" if entry.leaves_qty else "fill",
    }


def non_trade(entry: NonTrade) -> JSON:
    """A change without an order in the list of activities; *qty* is negative when it takes a long away."""
    return {
        "activity_type": entry.activity_type,
        "id": entry.id,
        "date": entry.day.isoformat(),
        "net_amount": plain(entry.net_amount),
        "description": entry.description,
        "symbol": entry.symbol,
        "qty": plain(entry.qty),
        "price": _number(entry.price),
        "status": "executed",
        "group_id": entry.group_id,
    }


def position(position: Position, account: Account, market: Market) -> JSON:
    """A position at the market's mark; all amounts in dollars."""
    instrument, cost = position.instrument, position.cost
    price, value = valuation.price(position, market), valuation.market_value(position, market)
    before = market.closing_marks.get(instrument.symbol, price)
    profit = value - cost
    ratio = rounded(profit / abs(cost)) if cost else "0"
    return {
        "asset_id": instrument.asset_id,
        "symbol": instrument.symbol,
        "exchange": "" if isinstance(instrument, Contract) else "NASDAQ",
        "asset_class": instrument.asset_class,
        "asset_marginable": isinstance(instrument, Stock),
        "avg_entry_price": plain(valuation.entry_price(position)),
        "qty": plain(position.qty),
        "qty_available": plain(account.available(instrument.symbol).copy_sign(position.qty)),
        "side": "long" if position.qty > 0 else "short",
        "market_value": rounded(value),
        "cost_basis": rounded(cost),
        "unrealized_pl": rounded(profit),
        "unrealized_plpc": ratio,
        "unrealized_intraday_pl": rounded(profit),
        "unrealized_intraday_plpc": ratio,
        "current_price": rounded(price),
        "lastday_price": rounded(before),
        "change_today": rounded(price / before - 1) if before else "0",
        "swap_rate": None,
        "avg_entry_swap_rate": None,
        "prev_swap_rate": None,
        "usd": None,
    }
