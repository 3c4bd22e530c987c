"""What positions and accounts are worth at the market's marks."""

from decimal import Decimal

from paper.book import Account, Position
from paper.market import Market
from paper.numbers import average
from paper.order import ZERO


def entry_price(position: Position) -> Decimal:
    """Average price per share that the position was opened at."""
    return average(position.cost, position.qty * position.instrument.multiplier)


def price(position: Position, market: Market) -> Decimal:
    """The mark of a position; its entry price while the market has shown none."""
    mark = market.mark(position.instrument.symbol)
    return mark if mark is not None else entry_price(position)


def market_value(position: Position, market: Market) -> Decimal:
    """Dollars; negative for a short."""
    return price(position, market) * position.qty * position.instrument.multiplier


def long_value(account: Account, market: Market) -> Decimal:
    """Dollars of everything held long."""
    return sum((market_value(p, market) for p in account.positions.values() if p.qty > 0), ZERO)


def short_value(account: Account, market: Market) -> Decimal:
    """Dollars of everything sold short; zero or negative."""
    return sum((market_value(p, market) for p in account.positions.values() if p.qty < 0), ZERO)


def equity(account: Account, market: Market) -> Decimal:
    """Cash and the marks of all positions, dollars."""
    return account.cash + long_value(account, market) + short_value(account, market)
