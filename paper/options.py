"""What the server is told at start."""

import argparse
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from pathlib import Path

from paper import times
from paper.book import SECRET
from paper.errors import UsageError
from paper.numbers import number
from paper.switches import DEFAULTS, Switches, set_switch

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Alpaca's level 3 allows spreads; no level allows naked shorts.
_HIGHEST_OPTION_LEVEL = 3


@dataclass(frozen=True, slots=True)
class AccountOption:
    """An account that exists from the start; *cash* is in dollars."""

    name: str
    cash: Decimal
    option_level: int = 3
    shorting: bool = False
    secret: str = SECRET


#: Seconds of clock time per second; faster than this is what a stepped clock is for.
FASTEST = 1_000_000
#: Stocks on which options trade until 16:15, as Alpaca names them.
LATE_CLOSE = ("SPY", "QQQ")
#: The accounts that are always there.
DEFAULT_ACCOUNTS = (AccountOption("large", Decimal(100_000)), AccountOption("tiny", Decimal(2_000)))


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that can be chosen at start.

    *speed* is seconds of clock time per second; at 0 only the control port moves the clock. *partial_ratio* is the
    share of orders that fill in two parts. *rate_limit* is requests a minute and account, for trading and for data
    each. Port 0 means a free one. *switches* choose where sources about Alpaca disagree; *hard_to_borrow* are the
    stocks that cannot be sold short, *whole_shares* those that trade in whole shares only, *late_close* those with
    options until 16:15, *cash_settled* those on which options end in cash.
    """

    data: tuple[Path, ...]
    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    speed: float = 1.0
    start: datetime | None = None
    seed: int = 0
    partial_ratio: float = 0.1
    switches: Switches = DEFAULTS
    hard_to_borrow: tuple[str, ...] = ()
    whole_shares: tuple[str, ...] = ()
    late_close: tuple[str, ...] = LATE_CLOSE
    cash_settled: tuple[str, ...] = ()
    accounts: tuple[AccountOption, ...] = ()
    rate_limit: int = 200
    journal: Path | None = None
    state: Path | None = None
    die_with_parent: bool = False

    def all_accounts(self) -> tuple[AccountOption, ...]:
        """The default accounts and the given ones; a given one replaces a default one of its name."""
        merged = {account.name: account for account in (*DEFAULT_ACCOUNTS, *self.accounts)}
        return tuple(merged.values())


def account(text: str) -> AccountOption:
    """Read ``name=cash[,level=N][,shorting][,secret=TEXT]``."""
    head, *extras = text.split(",")
    name, _, cash_text = head.partition("=")
    cash = number(cash_text)
    if not _NAME.fullmatch(name) or cash is None or cash < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=cash[,level=N][,shorting][,secret=TEXT]")
    level, shorting, secret = _HIGHEST_OPTION_LEVEL, False, SECRET
    for extra in extras:
        key, _, value = extra.partition("=")
        if key == "level" and value in {"0", "1", "2", "3"}:
            level = int(value)
        elif extra == "shorting":
            shorting = True
        elif key == "secret" and value:
            secret = value
        else:
            raise argparse.ArgumentTypeError(f"{extra!r} is neither level=0..3 nor shorting nor secret=TEXT")
    return AccountOption(name, cash, level, shorting, secret)


def parse(argv: list[str]) -> Options:
    """Read the command line. Exits with code 2 when it is wrong."""
    given = _parser().parse_args(argv)
    return Options(
        data=tuple(given.data),
        host=given.host,
        port=given.port,
        control_port=given.control_port,
        speed=given.speed,
        start=given.start,
        seed=given.seed,
        partial_ratio=given.partial_ratio,
        switches=reduce(set_switch, given.switch, DEFAULTS),
        hard_to_borrow=tuple(given.hard_to_borrow),
        whole_shares=tuple(given.whole_shares),
        late_close=(*LATE_CLOSE, *given.late_close),
        cash_settled=tuple(given.cash_settled),
        accounts=tuple(given.account),
        rate_limit=given.rate_limit,
        journal=given.journal,
        state=given.state,
        die_with_parent=given.die_with_parent,
    )


def check(options: Options) -> None:
    """Refuse numbers that make no sense, whoever built the options.

    Raises: UsageError.
    """
    if not options.data:
        raise UsageError("no day folder is given")
    if not 0 <= options.speed <= FASTEST:
        raise UsageError(f"speed {options.speed} is not between 0 and {FASTEST}")
    if not 0 <= options.partial_ratio <= 1:
        raise UsageError(f"partial ratio {options.partial_ratio} is not between 0 and 1")
    if options.rate_limit < 1:
        raise UsageError(f"rate limit {options.rate_limit} is not at least 1")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="paper", description="A local Alpaca, driven by recorded days.")
    add = parser.add_argument
    add("--data", type=Path, action="append", required=True, help="a day folder; may be repeated, ascending")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="a free one unless given")
    add("--control-port", type=int, default=0, help="a free one unless given")
    add("--speed", type=float, default=1.0, help="0: only the control port moves the clock")
    add("--start", type=_time, help="default: the first session's open")
    add("--seed", type=int, default=0)
    add("--partial-ratio", type=float, default=0.1, help="share of orders that fill in two parts")
    add("--switch", type=_switch, action="append", default=[], help="name=value; see paper/switches.py")
    add("--hard-to-borrow", action="append", default=[], metavar="SYMBOL", help="cannot be sold short")
    add("--whole-shares", action="append", default=[], metavar="SYMBOL", help="is not fractionable")
    add("--late-close", action="append", default=[], metavar="SYMBOL", help="its options trade until 16:15")
    add("--cash-settled", action="append", default=[], metavar="SYMBOL", help="its options end in cash")
    add("--account", type=account, action="append", default=[], help="name=cash[,level=N][,shorting][,secret=TEXT]")
    add("--rate-limit", type=int, default=200, help="requests a minute and account")
    add("--journal", type=Path, help="write what happened here, JSON lines")
    add("--state", type=Path, help="keep accounts and orders in this SQLite file; go on from it when it is there")
    add("--die-with-parent", action="store_true")
    return parser


def _switch(text: str) -> str:
    """Refuse an unknown switch while the command line is read."""
    set_switch(DEFAULTS, text)
    return text


def _time(text: str) -> datetime:
    try:
        return times.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO time") from None
