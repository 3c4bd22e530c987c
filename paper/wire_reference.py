"""The trading API's JSON for accounts, clock, calendar, assets and contracts."""

from datetime import datetime
from typing import Any

from paper import times, valuation
from paper.book import Account
from paper.instruments import Contract, Registry, Stock
from paper.market import Market
from paper.numbers import cents, plain
from paper.order import ZERO
from paper.sessions import Calendar, Session
from paper.switches import Switches

JSON = dict[str, Any]


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
        "options_trading_level": account.trading_level,
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
        "shorting_enabled": account.may_short,
        "trading_blocked": account.trading_blocked,
        "account_blocked": account.account_blocked,
        "transfers_blocked": False,
        "trade_suspended_by_user": account.suspended_by_user,
        "admin_configurations": {},
        "user_configurations": None,
    }


def configuration(account: Account) -> JSON:
    """An account's configuration: what its owner chose, and what follows from what was approved."""
    return {
        "disable_overnight_trading": False,
        "fractional_trading": True,
        "max_margin_multiplier": "1",
        "ptp_no_exception_entry": False,
        "trade_confirm_email": "none",
        **account.preferences,
        "max_options_trading_level": account.trading_level,
        "no_shorting": not account.may_short,
        "suspend_trade": account.suspended_by_user,
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


def asset(stock: Stock, registry: Registry, switches: Switches) -> JSON:
    """A stock; alpaca-py requires easy_to_borrow although newer documents drop it."""
    attributes = {"has_options": stock.has_options, "options_late_close": stock.symbol in registry.late_close}
    borrow = "easy_to_borrow" if stock.shortable else "hard_to_borrow"
    shown: JSON = {
        "id": stock.asset_id,
        "class": stock.asset_class,
        "exchange": "NASDAQ",
        "symbol": stock.symbol,
        "name": f"{stock.symbol} common stock",
        "status": "active",
        "tradable": stock.symbol not in registry.untradable,
        "marginable": True,
        "shortable": stock.shortable,
        "borrow_status": borrow,
        "fractionable": stock.fractionable,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "cusip": None,
        "attributes": [name for name, there in attributes.items() if there],
    }
    if switches.easy_to_borrow_field:
        shown["easy_to_borrow"] = stock.shortable
    return shown


def contract(contract: Contract, underlying_id: str, market: Market, *, active: bool, tradable: bool) -> JSON:
    """An option contract; what it closed at is known when a session has ended in which it had a price."""
    close = market.closing_marks.get(contract.symbol)
    day = market.closing_day if close is not None else None
    name = (contract.underlying, f"{contract.expiration:%b %d %Y}", plain(contract.strike), contract.kind.title())
    return {
        "id": contract.asset_id,
        "symbol": contract.symbol,
        "name": " ".join(name),
        "status": "active" if active else "inactive",
        "tradable": tradable,
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
        "close_price": plain(close) if close is not None else None,
        "close_price_date": day.isoformat() if day is not None else None,
        "ppind": True,
    }
