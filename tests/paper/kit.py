"""A running paper server for a test: in a thread of its own, its clock standing unless told otherwise."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from paper.options import Options
from paper.server import Server, start
from tests.paper.days import DAY

Answer = tuple[int, Any]


class Paper:
    """One server and plain HTTP to it; every call opens with the keys of *account*."""

    def __init__(self, server: Server, announcement: dict[str, Any]) -> None:
        self.server = server
        self.said = announcement
        self.control_url: str = announcement["control"]
        self.session = requests.Session()

    def call(self, method: str, path: str, account: str = "large", **kwargs: Any) -> Answer:
        """One request to the trading or data API."""
        keys = {"APCA-API-KEY-ID": account, "APCA-API-SECRET-KEY": "paper"}
        headers = keys | kwargs.pop("headers", {})
        response = self.session.request(method, self.said["rest"] + path, headers=headers, timeout=10, **kwargs)
        return response.status_code, response.json() if response.content else None

    def get(self, path: str, account: str = "large", **params: Any) -> Any:
        """The body of a GET that succeeds."""
        status, body = self.call("GET", path, account, params=params)
        assert 200 == status, body
        return body

    def submit(self, account: str = "large", **order: Any) -> Answer:
        """POST an order: a market order of one for a day unless told otherwise."""
        defaults = {"qty": "1", "type": "market", "time_in_force": "day"}
        return self.call("POST", "/v2/orders", account, json=defaults | order)

    def bought(self, symbol: str, qty: int = 1, account: str = "large", **order: Any) -> dict[str, Any]:
        """Buy at market and return the order as it is afterwards."""
        status, body = self.submit(account, symbol=symbol, side="buy", qty=qty, **order)
        assert 200 == status, body
        return dict(self.get(f"/v2/orders/{body['id']}", account))

    def control(self, method: str, path: str, /, **body: Any) -> Answer:
        """One request to the control port."""
        response = self.session.request(method, self.control_url + path, json=body or None, timeout=20)
        return response.status_code, response.json()

    def to(self, at: str, day: str = DAY) -> dict[str, Any]:
        """Move the clock to a UTC time of the day."""
        status, body = self.control("POST", "/clock", to=f"{day}T{at}Z")
        assert 200 == status, body
        return dict(body)

    def quote(self, symbol: str, bid: str | None, ask: str | None) -> None:
        """Let the market show a quote now."""
        status, body = self.control("POST", "/quotes", symbol=symbol, bid=bid, ask=ask)
        assert 200 == status, body

    def events(self) -> list[tuple[str, str, str]]:
        """Account, event and filled quantity of every trade update so far, from the journal."""
        entries = self.control("GET", "/journal")[1]["entries"]
        return [(e["account"], e["event"], e["order"]["filled_qty"]) for e in entries if e["kind"] == "event"]


@contextmanager
def serving(options: Options) -> Iterator[Paper]:
    """Run a server until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        server, announcement = asyncio.run_coroutine_threadsafe(start(options), loop).result(20)
        paper = Paper(server, announcement)
        try:
            yield paper
        finally:
            paper.session.close()
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
