"""What a ticket meets: the account, the instrument, the market and the hour; and what follows from that alone."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from paper.book import Account, reserve_of
from paper.errors import invalid
from paper.instruments import Instrument
from paper.market import Quote
from paper.order import ZERO, Order
from paper.sessions import Session
from paper.switches import Switches
from paper.tickets import Ticket

#: A short sale is checked at this multiple of the ask, when that is more than its limit.
_SHORT_MARGIN = Decimal("1.03")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """*session* is the open one (None while closed), *last_session* the one opened last, *mark* the market's price.

    *hours* are those that an order would fill in; *session* knows no extended ones, *extended* is true in them.
    *auction_day* is today's session, whether it is open, over or still to come; None on a day without one. *tradable*
    is false for what takes no orders.
    *replacing* is the order that the ticket is to take the place of: what it claims is free for the ticket.
    """

    account: Account
    instrument: Instrument
    underlying: Instrument | None
    quote: Quote | None
    last_trade: Decimal | None
    mark: Decimal | None
    hours: str
    session: Session | None
    extended: bool
    tradable: bool
    last_session: Session | None
    auction_day: Session | None
    now: datetime
    switches: Switches
    replacing: Order | None

    @property
    def buying_power(self) -> Decimal:
        """Dollars that a new order may claim."""
        freed = reserve_of(self.replacing) if self.replacing is not None else ZERO
        return self.account.buying_power() + freed

    @property
    def available(self) -> Decimal:
        """What a closing order may close."""
        account, symbol = self.account, self.instrument.symbol
        old = self.replacing
        if old is None or not self._frees_quantity:
            return account.available(symbol)
        freed = sum((o.left for o in (old, *old.legs) if o.symbol == symbol and not o.opens and o.is_working), ZERO)
        return min(abs(account.held(symbol)), account.available(symbol) + freed)

    @property
    def _frees_quantity(self) -> bool:
        is_option, old = self.instrument.asset_class == "us_option", self.replacing
        return not is_option or self.switches.replace_frees_option_qty or (old is not None and old.is_combination)

    def others(self) -> list[Order]:
        """The account's open orders in this instrument, without the one that is to be replaced."""
        orders = self.account.open_orders(self.instrument.symbol)
        old = self.replacing
        return [order for order in orders if old is None or (order is not old and order.parent is not old)]


def inferred_intent(side: str, held: Decimal) -> str:
    """What an order does to the position that is really there."""
    if side == "buy":
        return "buy_to_close" if held < 0 else "buy_to_open"
    return "sell_to_close" if held > 0 else "sell_to_open"


def intent_of(ticket: Ticket, at: Situation) -> str:
    """The effective intent of a ticket."""
    return inferred_intent(ticket.side, at.account.held(at.instrument.symbol))


def qty_of(ticket: Ticket) -> Decimal:
    """The quantity; only asked once notional tickets are refused."""
    if ticket.qty is None:
        raise invalid("qty or notional is required")
    return ticket.qty


def reserve_price(ticket: Ticket, at: Situation) -> Decimal:
    """The price an opening order's buying power is checked at, dollars per share.

    A buy: its limit, its stop, or while open the ask, in the hours around the session the middle, at night the last
    trade; zero when the market has shown no price at all. A short: the higher of its limit and 1.03 x the ask.
    """
    ask = at.quote.ask if at.quote else None
    far = ask if ask is not None and at.session else _closed_price(at, ask) or ZERO
    if ticket.side == "sell":
        return max(ticket.limit_price or ZERO, far * _SHORT_MARGIN)
    if ticket.limit_price is not None:
        return ticket.limit_price
    return ticket.prices.stop if ticket.prices.stop is not None else far


def _closed_price(at: Situation, ask: Decimal | None) -> Decimal | None:
    bid = at.quote.bid if at.quote else None
    if at.extended and bid is not None and ask is not None:
        return (bid + ask) / 2
    return at.last_trade or ask
