"""What is refused to orders in shares (see `rules`)."""

# ruff: noqa: ARG001 - one signature for all rules

from datetime import datetime, time, timedelta
from decimal import Decimal

from paper.errors import forbidden, invalid, unprocessable
from paper.fractions import fractions_are_allowed
from paper.instruments import Stock
from paper.numbers import decimals, plain
from paper.order import GROUP_CLASSES
from paper.situation import Situation, intent_of
from paper.tickets import Ticket
from paper.times import NEW_YORK

#: How long before the open an order for the opening auction must be there, and before the close one for the closing.
_AUCTION_LEADS = {"opg": timedelta(minutes=2), "cls": timedelta(minutes=10)}
#: From then on auction orders are taken for the next session.
_EVENING = time(19, 0)
_CENT = Decimal("0.01")


def stock_is_tradable(ticket: Ticket, at: Situation) -> None:
    if not at.tradable:
        raise unprocessable(f'asset "{at.instrument.symbol}" is not tradable')


def stock_prices_are_on_the_grid(ticket: Ticket, at: Situation) -> None:
    """Two decimals from a dollar up, four below it."""
    loss = ticket.stop_loss
    given = {
        "limit_price": ticket.prices.limit,
        "stop_price": ticket.prices.stop,
        "take_profit.limit_price": ticket.take_profit,
        "stop_loss.stop_price": loss.stop if loss else None,
        "stop_loss.limit_price": loss.limit if loss else None,
    }
    for name, price in given.items():
        if price is not None and decimals(price) > (2 if price >= 1 else 4):
            message = "sub-penny increment does not fulfill minimum pricing criteria"
            raise unprocessable(f"invalid {name} {plain(price)}. {message}")


def extended_hours_are_for_limits(ticket: Ticket, at: Situation) -> None:
    if ticket.extended_hours and (ticket.type != "limit" or ticket.time_in_force not in {"day", "gtc"}):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")


def auction_order_comes_in_time(ticket: Ticket, at: Situation) -> None:
    """Orders for an auction are refused from shortly before it until the evening."""
    lead = _AUCTION_LEADS.get(ticket.time_in_force)
    if lead is None:
        return
    if ticket.type not in {"market", "limit"}:
        raise unprocessable("invalid order type for opg and cls orders")
    if _is_too_late(ticket.time_in_force, lead, at):
        raise unprocessable(f"{ticket.time_in_force} orders are not accepted until 7:00pm New York time")


def _is_too_late(time_in_force: str, lead: timedelta, at: Situation) -> bool:
    session = at.auction_day
    if session is None or at.now.astimezone(NEW_YORK).time() >= _EVENING:
        return False
    auction: datetime = session.open if time_in_force == "opg" else session.close
    return at.now >= auction - lead


def group_is_complete(ticket: Ticket, at: Situation) -> None:
    """A bracket and an oco have both exits, an oto exactly one."""
    profit, loss = ticket.take_profit is not None, ticket.stop_loss is not None
    if ticket.order_class in {"bracket", "oco"} and not profit:
        raise invalid(f"{ticket.order_class} orders require take_profit.limit_price")
    if ticket.order_class in {"bracket", "oco"} and not loss:
        raise invalid(f"{ticket.order_class} orders require stop_loss.stop_price")
    if ticket.order_class == "oto" and profit == loss:
        raise invalid("oto orders require one of take_profit.limit_price or stop_loss.stop_price")


def group_fits_the_position(ticket: Ticket, at: Situation) -> None:
    """A bracket and an oto enter, an oco leaves; none of them in extended hours or for one moment only."""
    if ticket.order_class not in GROUP_CLASSES:
        return
    if ticket.extended_hours:
        raise unprocessable("extended hours order must be DAY or GTC limit orders")
    if ticket.time_in_force not in {"day", "gtc"}:
        raise unprocessable(f"{ticket.order_class} orders must be DAY or GTC orders")
    enters = intent_of(ticket, at).endswith("_to_open")
    if ticket.order_class == "oco" and (enters or ticket.type != "limit"):
        raise unprocessable("oco orders must be exit orders" if enters else "oco orders must be limit orders")
    if ticket.order_class != "oco" and not enters:
        raise unprocessable(f"{ticket.order_class} orders must be entry orders")


def exits_are_apart(ticket: Ticket, at: Situation) -> None:
    """The profit is taken above the price and the loss stopped below it; for a short the other way round."""
    profit, stop = ticket.take_profit, ticket.stop_loss.stop if ticket.stop_loss else None
    closes_long = ticket.side == ("sell" if ticket.order_class == "oco" else "buy")
    word, sign = (">", 1) if closes_long else ("<", -1)
    if profit is not None and stop is not None and (profit - stop) * sign <= 0:
        raise unprocessable(f"take_profit.limit_price must be {word} stop_loss.stop_price")
    base = ticket.limit_price if ticket.order_class != "oco" and ticket.limit_price is not None else at.mark
    if base is None or ticket.order_class not in GROUP_CLASSES:
        return
    numbers = {"base_price": plain(base)}
    if profit is not None and ticket.order_class != "oco" and (profit - base) * sign < _CENT:
        raise unprocessable(f"take_profit.limit_price must be {word}= base_price {'+-'[sign < 0]} 0.01", **numbers)
    if stop is not None and (base - stop) * sign < _CENT:
        other = "<" if closes_long else ">"
        raise unprocessable(f"stop_loss.stop_price must be {other}= base_price {'-+'[sign < 0]} 0.01", **numbers)


def short_sale_is_allowed(ticket: Ticket, at: Situation) -> None:
    if not isinstance(at.instrument, Stock) or intent_of(ticket, at) != "sell_to_open":
        return
    if not at.account.may_short:
        raise forbidden("account is not allowed to short")
    if not at.instrument.shortable:
        raise unprocessable(f'asset "{at.instrument.symbol}" cannot be sold short')


STOCK_RULES = (
    stock_is_tradable,
    fractions_are_allowed,
    stock_prices_are_on_the_grid,
    extended_hours_are_for_limits,
    auction_order_comes_in_time,
    group_is_complete,
    group_fits_the_position,
    exits_are_apart,
)
