"""The words in which a day is written down: moments, pins, recommendations, events.

Clock times are UTC on the script's date, ``HH:MM:SS``; money is a decimal string.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from paper.synthetic_pricing import Right
from paper.synthetic_spec import ContractSpec, Pin, Side, occ_symbol, stamp

#: Who issued the recommendations of a shipped day.
SOURCE = "shipped-day"

Fact = Mapping[str, object]

#: What a recommendation names: underlying, instrument, symbol.
Named = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Option:
    """A contract of the day, as the script speaks of it; the strike is dollars."""

    underlying: str
    expiration: date
    right: Right
    strike: str

    @property
    def symbol(self) -> str:
        """Return the OCC symbol."""
        return occ_symbol(self.underlying, self.expiration, self.right, Decimal(self.strike))

    @property
    def named(self) -> Named:
        """Return what a recommendation for this contract names."""
        return self.underlying, self.right, self.symbol

    def listed(self, *pins: Pin, spread_ratio: float = 0.015, trades_per_day: float = 40.0) -> ContractSpec:
        """Return the contract as a market lists it, with its *pins*."""
        return ContractSpec(
            right=self.right,
            strike=Decimal(self.strike),
            expiration=self.expiration,
            pins=pins,
            spread_ratio=spread_ratio,
            trades_per_day=trades_per_day,
        )


@dataclass(frozen=True, slots=True)
class Script:
    """The date all clock times of a day belong to."""

    day: date

    def at(self, clock: str) -> datetime:
        """Return the moment at which a UTC clock shows *clock*."""
        return datetime.combine(self.day, time.fromisoformat(clock), UTC)

    def pin(self, clock: str, side: Side, price: str, *, until: str | None = None, spread: str | None = None) -> Pin:
        """Say that whoever looks at *clock* (or until *until*) sees *price* on *side*."""
        return Pin(
            at=self.at(clock),
            until=self.at(until or clock),
            side=side,
            price=Decimal(price),
            spread=None if spread is None else Decimal(spread),
        )

    def recommendation(
        self,
        id_: str,
        clock: str,
        named: Named,
        *,
        accounts: Sequence[str] = ("large",),
        action: str = "BUY",
        qty: int | None = None,
        notional_usd: str | None = None,
        confidence: str,
        strategy: str = "day_trade",
    ) -> Fact:
        """Return one line of recommendations.jsonl; exactly one of the two amounts is given."""
        underlying, instrument, symbol = named
        amount: Fact = {"qty": qty} if notional_usd is None else {"notional_usd": notional_usd}
        return {
            "id": id_,
            "at": stamp(self.at(clock)),
            "source": SOURCE,
            "accounts": list(accounts),
            "underlying": underlying,
            "instrument": instrument,
            "action": action,
            "symbol": symbol,
            **amount,
            "confidence": confidence,
            "strategy": strategy,
        }

    def broker_close(self, clock: str, account: str, symbol: str, qty: int) -> Fact:
        """Return a line of broker_events.jsonl: the broker sells *qty* without being asked by us."""
        return {"at": stamp(self.at(clock)), "account": account, "symbol": symbol, "event": "close", "qty": qty}
