"""alpaca-py's public clients, pointed at a running server through url_override alone."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import OptionHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.live import OptionDataStream, StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.models import Order
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest
from alpaca.trading.stream import TradingStream

from tests.paper.kit import Paper

DAY = "day"


class Alpaca:
    """The clients of one account."""

    def __init__(self, paper: Paper, account: str = "large") -> None:
        self.paper, self.account = paper, account
        url = paper.said["rest"]
        self.trading = TradingClient(account, "paper", paper=True, url_override=url)
        self.stocks = StockHistoricalDataClient(account, "paper", url_override=url)
        self.options = OptionHistoricalDataClient(account, "paper", url_override=url)

    def market(self, symbol: str, side: str, qty: float = 1, **more: Any) -> Order:
        """Submit a market order for the day."""
        request = {"symbol": symbol, "side": side, "qty": qty, "time_in_force": DAY} | more
        return self.trading.submit_order(MarketOrderRequest(**request))

    def limit(self, symbol: str, side: str, price: float, qty: float = 1, **more: Any) -> Order:
        """Submit a limit order for the day."""
        request = {"symbol": symbol, "side": side, "qty": qty, "time_in_force": DAY, "limit_price": price} | more
        return self.trading.submit_order(LimitOrderRequest(**request))

    @contextmanager
    def updates(self, **options: Any) -> Iterator[list[Any]]:
        """What TradingStream hears while the block runs."""
        stream = TradingStream(self.account, "paper", url_override=self.paper.said["trade_stream"], **options)
        heard, hear = _ear()
        stream.subscribe_trade_updates(hear)
        with _running(self.paper, stream, "trade_updates"):
            yield heard

    @contextmanager
    def option_quotes(self, *symbols: str, trades: bool = False) -> Iterator[list[Any]]:
        """What OptionDataStream hears while the block runs."""
        stream = OptionDataStream(self.account, "paper", url_override=self.paper.said["option_stream"])
        heard, hear = _ear()
        (stream.subscribe_trades if trades else stream.subscribe_quotes)(hear, *symbols)
        with _running(self.paper, stream, "option"):
            yield heard

    @contextmanager
    def stock_quotes(self, *symbols: str) -> Iterator[list[Any]]:
        """What StockDataStream hears while the block runs."""
        stream = StockDataStream(self.account, "paper", url_override=self.paper.said["stock_stream"])
        heard, hear = _ear()
        stream.subscribe_quotes(hear, *symbols)
        with _running(self.paper, stream, "stock"):
            yield heard


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, int, str]:
    """HTTP status, code and message with which alpaca-py reports that a call was refused."""
    with pytest.raises(APIError) as caught:
        call(*args, **kwargs)
    return caught.value.status_code, caught.value.code, caught.value.message


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has happened, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def _ear() -> tuple[list[Any], Callable[[Any], Any]]:
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    return heard, hear


@contextmanager
def _running(paper: Paper, stream: Any, name: str) -> Iterator[None]:
    """Let a stream run in a thread of its own, from when the server knows what it wants to the end of the block."""
    thread = threading.Thread(target=stream.run)
    before = _listening(paper, name)
    thread.start()
    try:
        wait_for(lambda: _listening(paper, name) > before)
        yield
    finally:
        # A stream that is told to stop looks up at its next frame only; the server's close is one.
        stopping = threading.Thread(target=stream.stop)
        stopping.start()
        wait_for(lambda: not stream._should_run)
        paper.control("POST", "/streams", stream=name, do="close", code=1001)
        stopping.join(10)
        thread.join(10)
        assert not thread.is_alive()


def _listening(paper: Paper, name: str) -> int:
    return int(paper.control("GET", "/idle")[1]["listening"][name])
