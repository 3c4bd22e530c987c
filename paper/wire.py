"""The trading API's JSON: numbers are strings, absent values are null, times are UTC with nine decimals."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from paper import times, valuation
from paper.book import ZERO, Account, Activity, Order, Position
from paper.exchange import Update
from paper.instruments import Contract, Stock
from paper.market import Market
from paper.numbers import average, cents, plain, rounded
from paper.sessions import Calendar, Session

JSON = dict[str, Any]


def _time(at: datetime | None) -> str | None:
    return times.nanos(at) if at else None


def _number(value: Decimal | None) -> str | None:
    return plain(value) if value is not None else None


def order(order: Order) -> JSON:
    """An order as every endpoint shows it."""
    is_option = isinstance(order.instrument, Contract)
    filled = order.filled_qty
    return {
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
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": order.instrument.asset_id,
        "symbol": order.symbol,
        "asset_class": order.instrument.asset_class,
        "notional": None,
        "qty": plain(order.qty),
        "filled_qty": plain(filled),
        "filled_avg_price": plain(average(order.filled_value, filled)) if filled else None,
        "order_class": "simple" if is_option else "",
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "position_intent": order.intent,
        "time_in_force": order.time_in_force,
        "limit_price": _number(order.limit_price),
        "stop_price": None,
        "status": order.status,
        "extended_hours": order.extended_hours,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
    }


def trade_update(update: Update, calendar: Calendar) -> JSON:
    """An event of the trade_updates stream."""
    data: JSON = {
        "at": times.nanos(update.at),
        "event_id": update.event_id,
        "event": update.event,
        "timestamp": times.nanos(update.at),
        "order": order(update.order) | {"cancel_requested_at": _time(update.order.cancel_requested_at)},
    }
    if update.execution is not None:
        data["execution_id"] = update.execution.id
        if update.execution.qty:
            data["price"] = plain(update.execution.price)
            data["qty"] = plain(update.execution.qty)
            data["position_qty"] = plain(update.position_qty)
            data["swap_rate"] = "1"
            data["settle_date"] = calendar.opening_after(update.at).day.isoformat()
    return {"stream": "trade_updates", "data": data}


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


def account(account: Account, market: Market) -> JSON:
    """An account: without margin, so that every kind of buying power is the same amount."""
    power = cents(max(ZERO, account.buying_power()))
    longs, shorts = valuation.long_value(account, market), valuation.short_value(account, market)
    equity = cents(account.cash + longs + shorts)
    return {
        "id": account.id,
        "account_number": account.number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": cents(account.cash),
        "equity": equity,
        "last_equity": cents(account.last_equity),
        "portfolio_value": equity,
        "position_market_value": cents(longs + shorts),
        "buying_power": power,
        "regt_buying_power": power,
        "effective_buying_power": power,
        "non_marginable_buying_power": power,
        "options_buying_power": power,
        "options_approved_level": account.option_level,
        "options_trading_level": account.option_level,
        "initial_margin": cents(longs - shorts),
        "maintenance_margin": cents(longs - shorts),
        "last_maintenance_margin": "0",
        "long_market_value": cents(longs),
        "short_market_value": cents(shorts),
        "multiplier": "1",
        "sma": "0",
        "accrued_fees": "0",
        "pending_reg_taf_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "intraday_adjustments": "0",
        "balance_asof": times.new_york_day(account.created_at).isoformat(),
        "created_at": times.nanos(account.created_at),
        "shorting_enabled": account.shorting,
        "trading_blocked": account.trading_blocked,
        "account_blocked": account.account_blocked,
        "transfers_blocked": False,
        "trade_suspended_by_user": account.suspended_by_user,
        "admin_configurations": {},
        "user_configurations": None,
    }


def configuration(account: Account) -> JSON:
    """An account's configuration."""
    return {
        "disable_overnight_trading": False,
        "fractional_trading": False,
        "max_margin_multiplier": "1",
        "max_options_trading_level": account.option_level,
        "no_shorting": not account.shorting,
        "ptp_no_exception_entry": False,
        "suspend_trade": account.suspended_by_user,
        "trade_confirm_email": "none",
    }


def clock(now: datetime, calendar: Calendar) -> JSON:
    """New York's clock; a session is open from its open up to, not including, its close."""
    session = calendar.session_at(now)
    return {
        "timestamp": times.new_york(now),
        "is_open": session is not None,
        "next_open": times.new_york(calendar.opening_after(now).open),
        "next_close": times.new_york(calendar.ending_after(now).close),
    }


def calendar_day(session: Session, calendar: Calendar) -> JSON:
    """One day of the calendar, New York wall times."""
    opens, closes = (at.astimezone(times.NEW_YORK) for at in (session.open, session.close))
    return {
        "date": session.day.isoformat(),
        "open": f"{opens:%H:%M}",
        "close": f"{closes:%H:%M}",
        "session_open": "0400",
        "session_close": "2000",
        "settlement_date": calendar.opening_after(session.open).day.isoformat(),
    }


def asset(stock: Stock) -> JSON:
    """A stock; alpaca-py requires easy_to_borrow although newer documents drop it."""
    return {
        "id": stock.asset_id,
        "class": stock.asset_class,
        "exchange": "NASDAQ",
        "symbol": stock.symbol,
        "name": f"{stock.symbol} common stock",
        "status": "active",
        "tradable": True,
        "marginable": True,
        "shortable": True,
        "easy_to_borrow": True,
        "borrow_status": "easy_to_borrow",
        "fractionable": False,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "cusip": None,
        "attributes": ["has_options"] if stock.has_options else [],
    }


def contract(contract: Contract, underlying_id: str, active: bool) -> JSON:
    """An option contract."""
    name = (contract.underlying, f"{contract.expiration:%b %d %Y}", plain(contract.strike), contract.kind.title())
    return {
        "id": contract.asset_id,
        "symbol": contract.symbol,
        "name": " ".join(name),
        "status": "active" if active else "inactive",
        "tradable": active,
        "expiration_date": contract.expiration.isoformat(),
        "root_symbol": contract.root,
        "underlying_symbol": contract.underlying,
        "underlying_asset_id": underlying_id,
        "type": contract.kind,
        "style": contract.style,
        "strike_price": plain(contract.strike),
        "multiplier": str(contract.multiplier),
        "size": str(contract.multiplier),
        "open_interest": contract.open_interest,
        "open_interest_date": None,
        "close_price": None,
        "close_price_date": None,
        "ppind": True,
    }
