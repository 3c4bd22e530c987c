"""Replaying recorded streams: the facts of ``gapless record`` through tracker and exit, on the clock of the facts.

What was decided is not decided again: there is no brokerage to ask. Orders are written as they were approved, fills and
ticks travel on real streams and rebuild positions, peaks and exits. A close that the exit writes itself is the one that
was recorded, since its id follows from its position.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from actors.clocks import set_recorded_clock
from cli.patience import PATIENCE_S, Patience
from cli.quiet import Quiet
from cli.run import Finish, Stack, T, connected_servers
from cli.settings import ADOPTED, BadConfiguration, Settings
from cli.starting import bring_into_force
from cli.wiring import Wiring
from db import accounts, decisions, orders, positions
from db.orders import UnknownOrder
from domain.account import TradingState
from domain.checks import Check, named
from domain.events import ExitTriggered, Fact, OrderApproved, OurFact, RecommendationIssued, RecommendationRefused
from domain.exits import ExitReason
from domain.ids import AccountName, OrderId, RecommendationId
from domain.orders import Order
from streams.codec import Undecodable, decode, encode
from streams.names import Stream
from streams.publish import publish
from streams.record import FILE_NAME, NotAFixture, read_fixture

#: The actors that need no brokerage.
HOSTED: Final = ("tracker", "exit")
#: The streams that are fed as they were recorded.
FED: Final = frozenset({Stream.FILLS, Stream.TICKS})


Recorded = tuple[str, Fact, Mapping[bytes, bytes]]


class NoMarket:
    """Stands where the local Alpaca would: nothing is ever under way in it."""

    def idle(self) -> dict[str, Any]:
        return {"idle": True, "requests": 0, "sent": {"trade_updates": {}, "stock": 0, "option": 0}}


def is_recording(folder: Path) -> bool:
    return (folder / FILE_NAME).is_file()


def replay_streams(settings: Settings, folder: Path, ledger: Path, finish: Finish[T]) -> T:
    """Feed the recording in *folder* into a new ledger; return what *finish* makes of the stack.

    Raises:
        BadConfiguration: the recording cannot be read; the message names the line.
    """
    recorded = list(_read(folder))
    start = min((fact.at for _, fact, _ in recorded), default=None)
    if start is None:
        raise BadConfiguration(f"{folder / FILE_NAME}: there is no fact in it")
    ours = settings.model_copy(update={"stack": settings.stack.model_copy(update={"clock": "recorded"})})
    with connected_servers(ours, ledger) as stack:
        _begin(stack, start)
        wiring = Wiring.of(stack.settings, stack.engine, stack.client)
        for actor in HOSTED:
            wiring.host(actor)
        wiring.runtime.start()
        try:
            _Feeder(stack, wiring).feed(recorded)
        finally:
            wiring.runtime.stop()
        return finish(stack)


def _read(folder: Path) -> Iterator[Recorded]:
    try:
        for stream, fields in read_fixture(folder):
            yield stream, decode(fields), fields
    except (NotAFixture, Undecodable) as e:
        raise BadConfiguration(f"{folder / FILE_NAME}: {e}") from e


def _begin(stack: Stack, start: datetime) -> None:
    """The accounts were active when these orders were approved."""
    set_recorded_clock(stack.client, start)
    bring_into_force(stack.settings, stack.engine, start)
    with stack.engine.begin() as tx:
        for name in stack.settings.account_names():
            accounts.set_state(tx, name, TradingState.ACTIVE, "recorded streams", "replay", start)


class _Feeder:
    """Hands over one fact after the other; the next one waits until nothing is under way."""

    def __init__(self, stack: Stack, wiring: Wiring) -> None:
        self._stack, self._wiring = stack, wiring
        partitions = stack.settings.stack.partitions
        patience = Patience(PATIENCE_S, stack.children.check)
        self._quiet = Quiet(stack.client, stack.engine, NoMarket(), partitions, patience, hosted=HOSTED)
        self._recommended: dict[str, RecommendationIssued] = {}
        self._triggered: dict[OrderId, str] = {}
        self._now: datetime | None = None

    def feed(self, recorded: Sequence[Recorded]) -> None:
        self._triggered = {f.order_id: f.rule for _, f, _ in recorded if isinstance(f, ExitTriggered)}
        for stream, fact, fields in recorded:
            self._move_clock(fact.at)
            match fact:
                case RecommendationIssued():
                    self._remember(fact)
                case OrderApproved():
                    self._write(fact)
                case RecommendationRefused():
                    self._record(
                        fact.recommendation, fact.account, [_check(text) for text in fact.refusals], None, fact
                    )
                case _ if stream.partition(".")[0] in FED:
                    publish(self._stack.client, stream, dict(fields))
                    self._quiet.wait()

    def _move_clock(self, at: datetime) -> None:
        if self._now is None or at > self._now:
            self._now = at
            set_recorded_clock(self._stack.client, at)

    def _remember(self, rec: RecommendationIssued) -> None:
        self._recommended[rec.id] = rec
        with self._stack.engine.begin() as tx:
            decisions.remember(tx, rec.recommendation_id, json.loads(encode(rec)["body"]), rec.at, rec.at)

    def _write(self, fact: OrderApproved) -> None:
        """Write the order as it was approved, unless the exit has written this very close already."""
        rec = self._recommended.get(fact.cause)
        with self._stack.engine.begin() as tx:
            try:
                orders.get(tx, fact.order_id)
            except UnknownOrder:
                held = positions.get(tx, fact.position_id)
                strategy = held.strategy if held else (rec.strategy if rec else ADOPTED)
                orders.insert(tx, _order(fact, self._reason(fact), rec), strategy)
        if rec is not None:
            self._record(rec.recommendation_id, fact.account, [], fact.order_id, fact)

    def _record(
        self,
        recommendation: RecommendationId,
        account: AccountName,
        checks: Sequence[Check],
        order_id: OrderId | None,
        fact: OurFact,
    ) -> None:
        """Write the decision that the fact tells of; the passed checks of an approval were not on the stream."""
        with self._stack.engine.begin() as tx:
            decisions.record(
                tx,
                recommendation=recommendation,
                account=account,
                checks=checks,
                sizing="recorded",
                steps=None,
                selection=None,
                order_id=order_id,
                limits=None,
                now=fact.at,
                origin=fact.origin,
            )

    def _reason(self, fact: OrderApproved) -> str:
        if fact.intent.opens:
            return "entry"
        by_signal = ExitReason.SIGNAL if fact.cause in self._recommended else ExitReason.MANUAL
        return self._triggered.get(fact.order_id, by_signal)


def _check(text: str) -> Check:
    """Read a refusal back from the one line that the fact carries."""
    gate, _, numbers = text.partition(": observed=")
    observed, _, allowed = numbers.partition(" allowed=")
    return named(gate, False, observed, allowed, "recorded")


def _order(fact: OrderApproved, reason: str, rec: RecommendationIssued | None) -> Order:
    """Return the order as it was approved; a limit that closes ends when the recording says so."""
    closes_at_limit = fact.limit_price is not None and not fact.intent.opens
    return Order(
        order_id=fact.order_id,
        client_order_id=fact.client_order_id,
        account=fact.account,
        position_id=fact.position_id,
        recommendation=rec.recommendation_id if rec else None,
        symbol=fact.symbol,
        side=fact.side,
        intent=fact.intent,
        qty=fact.qty,
        type=fact.type,
        limit_price=fact.limit_price,
        awaited_until=fact.at if closes_at_limit else None,
        reason=reason,
        approved_at=fact.at,
    )
