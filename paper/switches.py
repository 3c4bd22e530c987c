"""Where sources about Alpaca disagree, or where the real one has been seen to change: one named switch each.

`Options.switches` holds them; on the command line each is ``--switch name=value`` (true, false or minutes).
"""

import argparse
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The behaviours that can be chosen, with what this server does unless told otherwise.

    *option_stop_orders*: single-leg options take stop and stop_limit orders (newest specification and recordings);
    off, only market and limit, as the older documents say.
    *option_gtc*: options take gtc (specification); off, day orders only (older text).
    *cancel_of_canceled_refused*: canceling a canceled order is a 422; off, it succeeds again with 204.
    *replace_frees_option_qty*: a replaced closing option order may reuse the quantity that it holds itself; off, it
    is refused for quantity, as one report tells.
    *related_orders*: a refusal for quantity names the orders that hold it.
    *expiry_cutoff_minutes*: how long before the close of its last day a contract stops taking opening orders, and
    positions in it that cannot be exercised or covered are liquidated (documents say 30, other pages 45).
    *expiry_liquidation*: those positions are liquidated at all.
    *gtc_done_for_day*: an order that outlives its day is ``done_for_day`` until the next one, told by an event; off, it
    stays what it was.
    *sell_to_open_stop_fails*: a plain stop that opens a short option is answered with 500, as one recording shows.
    *unauthorized_with_code*: the 401 of the trading API carries a code; off, only ``unauthorized.``
    *deprecation_message*: the stream's old form of authentication is answered with a notice that it is deprecated.
    *burst_per_second*: requests a second and account beyond which a burst is refused too; 0 refuses none. Third parties
    speak of about 10.
    *easy_to_borrow_field*: assets carry ``easy_to_borrow``, which alpaca-py requires and the specification dropped.
    """

    option_stop_orders: bool = True
    option_gtc: bool = True
    cancel_of_canceled_refused: bool = True
    replace_frees_option_qty: bool = False
    related_orders: bool = True
    expiry_cutoff_minutes: int = 30
    expiry_liquidation: bool = True
    gtc_done_for_day: bool = True
    sell_to_open_stop_fails: bool = False
    unauthorized_with_code: bool = True
    deprecation_message: bool = True
    burst_per_second: int = 0
    easy_to_borrow_field: bool = True


def set_switch(switches: Switches, text: str) -> Switches:
    """Return *switches* with one changed by ``name=value``.

    Raises: argparse.ArgumentTypeError when there is no such switch or value.
    """
    name, _, value = text.partition("=")
    kinds = {field.name: field.type for field in fields(Switches)}
    given: dict[str, Any] = {}
    if kinds.get(name) is bool and value in {"true", "false"}:
        given[name] = value == "true"
    elif kinds.get(name) is int and value.isascii() and value.isdigit() and len(value) < 4:
        given[name] = int(value)
    else:
        raise argparse.ArgumentTypeError(f"{text!r} is no switch; there are {', '.join(kinds)}")
    return replace(switches, **given)


#: What this server does unless told otherwise.
DEFAULTS = Switches()
