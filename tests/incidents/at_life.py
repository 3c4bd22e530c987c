"""Actors at the local Alpaca over several days, reading everything by REST as feeds does, and started anew at will."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import text

from actors.bookings import Bookings
from actors.catch_up import CatchUp, Names
from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.budget import RateBudget
from brokerage.endpoints import Keys, on_one_port
from cli.feeding import Feeding
from db import drift, integrity
from domain.events import Fact
from domain.ids import AccountName
from paper.options import AccountOption, Options
from tests.factories import LARGE, TINY
from tests.incidents.at_paper import MARGIN, AtPaper
from tests.paper.days import CALL, PUT, STOCK, Row, a_contract, write_day
from tests.paper.kit import Paper

SHORT = AccountName("short")
#: What each account begins with, dollars.
CASH = {LARGE: Decimal(100_000), TINY: Decimal(2_000), MARGIN: Decimal(1_000_000), SHORT: Decimal(1_000_000)}
#: They end on the first day. The share is at 100: by its name, each is out of, or in the money.
DEAD_CALL, RICH_CALL = "ACME260203C00105000", "ACME260203C00095000"
RICH_PUT = "ACME260203P00105000"
#: A share with an equity bracket, and no options.
WIDGET = "WIDG"
FIRST, SECOND, THIRD = "2026-02-03", "2026-02-04", "2026-02-05"

_CONTRACTS = [a_contract(symbol) for symbol in (DEAD_CALL, RICH_CALL, RICH_PUT, CALL, PUT)]
_QUOTES: Sequence[Row] = (
    ("14:30:59.999", DEAD_CALL, "0.20", "0.25"),
    ("14:30:59.999", RICH_CALL, "5.40", "5.60"),
    ("14:30:59.999", RICH_PUT, "5.10", "5.30"),
    ("14:30:59.999", CALL, "1.00", "1.10"),
    ("14:30:59.999", PUT, "0.90", "1.00"),
)
_SHARES: Sequence[Row] = (("14:30:59.999", STOCK, "99.99", "100.01"), ("14:30:59.999", WIDGET, "19.99", "20.01"))


def three_days(folder: Path) -> Options:
    """A Tuesday on which three contracts end, and the two days after it; the clock moves when told.

    The server keeps its state in *folder*, so that another one can go on.
    """
    days = tuple(
        write_day(folder / day, day=day, contracts=_CONTRACTS, quotes=_QUOTES, underlying=_SHARES, trades=())
        for day in (FIRST, SECOND, THIRD)
    )
    given = tuple(AccountOption(name, CASH[name], shorting=True) for name in (MARGIN, SHORT))
    return Options(data=days, speed=0.0, partial_ratio=0.0, accounts=given, rate_limit=100_000, state=folder / "kept")


class AtLife(AtPaper):
    """*rng*, where given, tells what is read twice, late and in another order."""

    rng: Random | None = None

    def start(self) -> None:
        super().start()
        client: Any = None  # rows alone are asked
        self.feeding = Feeding(self.engine, client, self.desk, (), lambda: None)

    def _brokerage(self, name: str) -> AlpacaBrokerage:
        """A busy machine may take its time: nothing here is about an answer that does not come."""
        return AlpacaBrokerage(Keys(name, "paper"), on_one_port(self.paper.said["rest"]), 30, RateBudget().entries)

    def move_to(self, paper: Paper) -> None:
        """Go on at a server that was started anew, with actors that were too."""
        self.close()
        self.paper = paper
        self.brokerages = {name: self._brokerage(name) for name in self.brokerages}
        self.start()

    def look(self, *, bookings: bool = True) -> None:
        """Read by REST what the rows lack in every account, and apply it, or what *rng* leaves of it."""
        for name in self.brokerages:
            found = [*self._executed(name), *(self._booked(name) if bookings else [])]
            for fact in self._disturbed(found):
                self.tracker.handle([fact])
        self.publish()

    def _executed(self, name: AccountName) -> list[Fact]:
        rows, brokerage = self.feeding, self.brokerages[name]
        ask = CatchUp(
            name, brokerage, lambda: rows.pending(name), lambda: rows.stored(name), Names(), "test", self._wall
        )
        return ask.look()

    def _booked(self, name: AccountName) -> list[Fact]:
        return Bookings(name, self.brokerages[name], lambda: self.feeding.booked(name), "test").look()

    @staticmethod
    def _wall() -> datetime:
        return datetime.now(UTC)

    def _disturbed(self, found: list[Fact]) -> list[Fact]:
        if self.rng is None:
            return found
        kept = [fact for fact in found for _ in range(self.rng.choice((0, 1, 1, 2)))]
        self.rng.shuffle(kept)
        return kept

    def compare(self, *, times: int = 2) -> None:
        """Compare with the brokerage's book so often, each a while after the last, as the reconciler does."""
        for _ in range(times):
            self.wait(11)
            for name in self.brokerages:
                self.reconciler.reconcile(name, self.now())
            self.publish()

    def wait(self, seconds: int) -> None:
        at = self.now() + timedelta(seconds=seconds)
        assert 200 == self.paper.control("POST", "/clock", to=at.isoformat())[0]

    def book(self, do: str, account: str, symbol: str, **more: Any) -> None:
        """Let the brokerage change a book without an order."""
        status, body = self.paper.control("POST", "/book", account=account, do=do, symbol=symbol, **more)
        assert 200 == status, body

    def close_behind(self, account: str, symbol: str, qty: int, kind: str = "manual", **more: Any) -> None:
        status, body = self.paper.control("POST", "/close", account=account, symbol=symbol, qty=qty, kind=kind, **more)
        assert 200 == status, body

    def by_hand(self, account: str, symbol: str, side: str, qty: int) -> None:
        status, body = self.paper.submit(account, symbol=symbol, side=side, qty=qty)
        assert 200 == status, body

    def held_there(self, account: str) -> dict[str, int]:
        return {p["symbol"]: int(p["qty"]) for p in self.paper.get("/v2/positions", account)}

    # ------------------------------------------------------------ looking

    def positions(self, account: str, *columns: str) -> list[Any]:
        """Return the account's positions in the order in which they opened."""
        statement = f"SELECT {', '.join(columns)} FROM positions WHERE account = :a ORDER BY opened_at, symbol"
        with self.engine.connect() as tx:
            return [tuple(row) for row in tx.execute(text(statement), {"a": account})]

    def assert_that_money_adds_up(self) -> None:
        """Nothing is held, every result is known, and all results together are the cash that moved, to the cent."""
        for name in self.brokerages:
            results = [pnl for (pnl,) in self.positions(name, "realized_pnl_usd")]
            assert {} == self.held_there(name)
            assert [] == [s for s, qty in self.positions(name, "symbol", "qty") if qty]
            assert None not in results, self.positions(name, "symbol", "exit_rule", "realized_pnl_usd")
            cash = Decimal(self.paper.get("/v2/account", name)["cash"])
            assert cash - CASH[name] == sum(results), self.positions(name, "symbol", "exit_rule", "realized_pnl_usd")

    def assert_that_rows_agree(self) -> None:
        """Rows with rows, and rows with the brokerage's book: a comparison finds nothing."""
        self.compare(times=1)
        with self.engine.connect() as tx:
            assert [] == integrity.mismatches(tx)
            assert [] == drift.all_of(tx)
