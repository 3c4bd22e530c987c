"""What must hold before anything trades: the SDK is the SDK, the keys open our accounts, and the limits make sense."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Engine

from brokerage import sdk
from brokerage.port import BrokerAccount, Brokerage, BrokerageError
from cli.settings import BadConfiguration, Settings
from db import accounts, configurations, limits
from domain.account import Limits
from domain.ids import AccountName

log = logging.getLogger(__name__)

#: No brokerage lends more for a day: Alpaca's day-trading buying power is four times the equity.
MOST_LEVERAGE: Final = 4


def bring_into_force(settings: Settings, engine: Engine, now: datetime) -> list[AccountName]:
    """Bring rules and limits in the database to what the file says; return the accounts whose limits changed.

    The file wins at a start, and what it changes is history like any other change. Overrides stay until they end.
    """
    with engine.begin() as tx:
        configurations.put(tx, settings.hash(), settings.rules(), accounts.CONFIGURATION, "as the file says", now)
        return [
            name
            for name in settings.account_names()
            if accounts.configure(tx, name, settings.accounts[name].limits(), now)
        ]


def require_accounts(settings: Settings, engine: Engine) -> None:
    """Refuse to start for an account that the database does not know: its limits would be nobody's.

    Raises:
        BadConfiguration: names the account.
    """
    with engine.connect() as tx:
        unknown = sorted(set(settings.account_names()) - accounts.names(tx))
    if unknown:
        raise BadConfiguration(f"accounts.{unknown[0]}: not in the database yet: `gapless migrate` brings it there")


def require_sdk() -> None:
    """Refuse to start on anything but alpaca-py: nothing may stand in for the brokerage (R46).

    Raises:
        BadConfiguration: says what was found instead.
    """
    try:
        sdk.installed()
    except sdk.NotTheSdk as e:
        raise BadConfiguration(f"brokerage: {e}") from e


def require_own_accounts(engine: Engine, ports: Mapping[AccountName, Brokerage]) -> None:
    """Compare each account's number at the brokerage with the one that its rows belong to (R17).

    A brokerage that does not answer proves nothing and stops nobody: the reconciler looks again every time.

    Raises:
        BadConfiguration: names the account and both numbers.
    """
    opened: dict[str, AccountName] = {}
    for name, stated in _stated(ports).items():
        number = stated.account_number
        with engine.connect() as tx:
            known, owner = accounts.broker_account_number(tx, name), accounts.owner_of(tx, number)
        other = opened.setdefault(number, name)
        if known not in (None, number):
            raise BadConfiguration(f"accounts.{name}: its keys open {number}, its rows belong to {known}")
        if other != name or owner not in (None, name):
            taken = owner if other == name else other
            raise BadConfiguration(f"accounts.{name}: its keys open {number}, the account of {taken}")


def require_sane_limits(engine: Engine, ports: Mapping[AccountName, Brokerage], now: datetime) -> None:
    """Refuse to open anything under a limit that no loss could reach (R04, R13). Exits need no such permission.

    Raises:
        BadConfiguration: names the key, its value and the equity.
    """
    for name, stated in _stated(ports).items():
        with engine.connect() as tx:
            in_force = limits.in_force(tx, name, now)
        if in_force is not None and (said := absurd(name, in_force, stated.equity_usd)):
            raise BadConfiguration(said)


def absurd(name: str, of_account: Limits, equity_usd: Decimal) -> str | None:
    """Return which limit makes no sense for an account worth *equity_usd*, None when all do."""
    most = MOST_LEVERAGE * equity_usd
    if of_account.max_exposure_usd > most:
        said = (
            f"at most {MOST_LEVERAGE} x the equity of {equity_usd} USD can be held, was {of_account.max_exposure_usd}"
        )
        return f"accounts.{name}.max_exposure_usd: {said}"
    if of_account.max_daily_loss_usd > equity_usd:
        said = f"the account holds {equity_usd} USD, more cannot be lost, was {of_account.max_daily_loss_usd}"
        return f"accounts.{name}.max_daily_loss_usd: {said}"
    return None


def _stated(ports: Mapping[AccountName, Brokerage]) -> dict[AccountName, BrokerAccount]:
    found = {}
    for name, port in ports.items():
        try:
            found[name] = port.account()
        except BrokerageError as e:
            log.warning("account %s: whose keys these are could not be verified: %s", name, e)
    return found
