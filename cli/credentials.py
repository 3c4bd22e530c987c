"""Where the brokerage is and what opens an account there, as the configuration says; nothing here talks to anybody."""

from __future__ import annotations

from dataclasses import replace

from brokerage.endpoints import ALPACA_LIVE, ALPACA_PAPER, Endpoints, Keys, on_one_port
from cli.settings import BadConfiguration, Settings
from domain.ids import AccountName


def keys_of(settings: Settings, account: AccountName) -> Keys:
    """Return the keys of *account*.

    Raises:
        BadConfiguration: none are configured.
    """
    if settings.brokerage.mode == "paper":
        return Keys(account, "paper")
    own = settings.accounts[account]
    if not own.key_id or not own.secret.get_secret_value():
        word = f"GAPLESS_ACCOUNTS__{account.upper()}"
        raise BadConfiguration(f"accounts.{account}: no keys: set {word}__KEY_ID and {word}__SECRET (or .._FILE)")
    return Keys(own.key_id, own.secret.get_secret_value())


def endpoints_of(settings: Settings) -> Endpoints:
    """Return where the brokerage of the configured mode answers.

    Raises:
        BadConfiguration: nobody says where the local Alpaca is.
    """
    asked = settings.brokerage
    if asked.mode == "paper":
        if asked.paper_url is None:
            raise BadConfiguration("brokerage.paper_url: where does the local Alpaca answer? (gapless paper serve)")
        return on_one_port(asked.paper_url, asked.option_feed, asked.stock_feed)
    base = ALPACA_LIVE if asked.mode == "alpaca-live" else ALPACA_PAPER
    return replace(base, option_feed=asked.option_feed, stock_feed=asked.stock_feed)
