"""Where Alpaca is, and the keys that open it; nothing here talks to anybody.

The same two classes point at Alpaca's paper trading, at live trading, or at the local paper server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: What an account without a market data subscription may watch at once. Source: Alpaca's subscription plans, 2026.
FREE_OPTION_SYMBOLS: Final = 200
FREE_STOCK_SYMBOLS: Final = 30


@dataclass(frozen=True, slots=True)
class Keys:
    """One account's API key; the secret never shows in a repr, a log line or an error."""

    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Base URLs without version or trailing slash, and the two price feeds: Alpaca's name and how many symbols each
    may watch (a larger subscription is refused as a whole).
    """

    trading: str
    trading_stream: str
    data: str
    data_stream: str
    option_feed: str
    stock_feed: str
    option_symbols: int = FREE_OPTION_SYMBOLS
    stock_symbols: int = FREE_STOCK_SYMBOLS

    @property
    def option_stream(self) -> str:
        return f"{self.data_stream}/v1beta1/{self.option_feed}"

    @property
    def stock_stream(self) -> str:
        return f"{self.data_stream}/v2/{self.stock_feed}"


ALPACA_PAPER: Final = Endpoints(
    trading="https://paper-api.alpaca.markets",
    trading_stream="wss://paper-api.alpaca.markets/stream",
    data="https://data.alpaca.markets",
    data_stream="wss://stream.data.alpaca.markets",
    option_feed="indicative",
    stock_feed="iex",
)

ALPACA_LIVE: Final = Endpoints(
    trading="https://api.alpaca.markets",
    trading_stream="wss://api.alpaca.markets/stream",
    data="https://data.alpaca.markets",
    data_stream="wss://stream.data.alpaca.markets",
    option_feed="indicative",
    stock_feed="iex",
)


def on_one_port(base_url: str, option_feed: str = "indicative", stock_feed: str = "iex") -> Endpoints:
    """Return the endpoints of a server that answers everything at *base_url* (``http://host:port``), as paper does."""
    http = base_url.rstrip("/")
    sockets = "ws" + http.removeprefix("http")
    return Endpoints(
        trading=http,
        trading_stream=f"{sockets}/stream",
        data=http,
        data_stream=sockets,
        option_feed=option_feed,
        stock_feed=stock_feed,
    )
