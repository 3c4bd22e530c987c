"""Conservation: whatever is ordered, canceled, replaced, exercised and moved, nothing appears or vanishes.

A hypothesis state machine over a world without its doors; the same checks after every step.
"""

import json
import tempfile
from collections import Counter, defaultdict
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from paper import replacing, tickets
from paper.errors import ApiError
from paper.options import AccountOption, Options
from paper.order import ASIDE_STATES
from paper.switches import Switches
from paper.tape import read_days
from paper.world import World
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, STOCK, a_contract, write_day

HIGH_CALL, LOW_PUT = "ACME260206C00105000", "ACME260206P00095000"
SYMBOLS = (STOCK, CALL, HIGH_CALL, PUT, LOW_PUT, LAST_DAY_CALL)
CASH = {"large": Decimal(100_000), "tiny": Decimal(2_000), "margin": Decimal(500_000)}
#: Around what the symbols trade at, dollars.
LEVELS = {STOCK: 100, CALL: 3, HIGH_CALL: 1, PUT: 3, LOW_PUT: 1, LAST_DAY_CALL: 1}

accounts = st.sampled_from(sorted(CASH))
symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from(tickets.SIDES)
quantities = st.integers(1, 6)
#: How far from its level a price is, in percent.
offsets = st.integers(-30, 30)


def price(symbol, offset):
    return f"{Decimal(LEVELS[symbol]) * (100 + offset) / 100:.2f}"


@contextmanager
def refusals():
    """A refusal is an answer too; any other error is not."""
    try:
        yield
    except ApiError as refusal:
        if refusal.status not in {403, 422}:
            raise


class Books(RuleBasedStateMachine):
    """Random life in three accounts."""

    def __init__(self):
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        folder = write_day(
            Path(self._folder.name) / "day",
            contracts=[a_contract(symbol) for symbol in SYMBOLS if symbol != STOCK],
            quotes=[("14:30:59.999", s, price(s, -1), price(s, 1)) for s in SYMBOLS if s != STOCK],
            underlying=[("14:30:59.999", STOCK, "99.90", "100.10")],
            trades=[],
        )
        given = tuple(AccountOption(n, cash, shorting=n == "margin") for n, cash in CASH.items())
        options = Options(
            data=(folder,),
            speed=0.0,
            partial_ratio=0.5,
            accounts=given,
            switches=Switches(replace_frees_option_qty=True),
        )
        self.world = World(options, read_days([folder]))
        self.told = defaultdict(list)
        self.world.witnesses.append(lambda update, data: self.told[update.order.account].extend(fills_of(data)))
        self.world.timeline.advance(self.world.timeline.now + timedelta(minutes=1))

    def teardown(self):
        self.world.journal.close()
        self._folder.cleanup()

    def submit(self, account, body):
        """Send an order; a refusal is an answer too."""
        book = self.world.accounts[account]
        with refusals():
            self.world.exchange.route(self.world.exchange.accept(book, tickets.read(body)))

    @rule(account=accounts, symbol=symbols, side=sides, qty=quantities, offset=offsets, kind=st.sampled_from("mlstx"))
    def order(self, account, symbol, side, qty, offset, kind):
        near = price(symbol, offset)
        shape = {
            "m": {"type": "market"},
            "l": {"type": "limit", "limit_price": near},
            "s": {"type": "stop", "stop_price": near},
            "t": {"type": "stop_limit", "stop_price": near, "limit_price": price(symbol, offset // 2)},
            "x": {"type": "trailing_stop", "trail_percent": "3"},
        }[kind]
        qty *= 50 if symbol == STOCK else 1
        self.submit(account, {"symbol": symbol, "side": side, "qty": qty, "time_in_force": "day"} | shape)

    @rule(account=accounts, side=sides, cents=st.integers(1, 90_000), dollars=st.booleans(), offset=offsets)
    def fraction(self, account, side, cents, dollars, offset):
        """Parts of a share, or what so many dollars buy."""
        size = {"notional": f"{cents / 100:.2f}"} if dollars else {"qty": f"{cents / 7919:.9f}"}
        limit = {"type": "limit", "limit_price": price(STOCK, offset)} if offset else {"type": "market"}
        self.submit(account, {"symbol": STOCK, "side": side, "time_in_force": "day"} | size | limit)

    @rule(account=accounts, side=sides, qty=quantities, name=st.sampled_from(("bracket", "oco", "oto")), far=offsets)
    def group(self, account, side, qty, name, far):
        up = side == ("sell" if name == "oco" else "buy")
        profit, loss = (price(STOCK, abs(far) + 1), price(STOCK, -abs(far) - 1))[:: 1 if up else -1]
        exits = {"take_profit": {"limit_price": profit}, "stop_loss": {"stop_price": loss}}
        if name == "oto":
            del exits["take_profit"]
        kind = "limit" if name == "oco" else "market"
        body = {"symbol": STOCK, "side": side, "qty": qty * 10, "type": kind, "time_in_force": "gtc"}
        self.submit(account, body | {"order_class": name} | exits)

    @rule(
        account=accounts, qty=quantities, pair=st.sampled_from(((CALL, HIGH_CALL), (PUT, LOW_PUT))), swap=st.booleans()
    )
    def combination(self, account, qty, pair, swap):
        legs = []
        for symbol, side in zip(pair, ("sell", "buy") if swap else ("buy", "sell"), strict=True):
            held = self.world.accounts[account].held(symbol)
            closes = held < 0 if side == "buy" else held > 0
            intent = f"{side}_to_{'close' if closes else 'open'}"
            legs.append({"symbol": symbol, "side": side, "ratio_qty": 1, "position_intent": intent})
        body = {"type": "market", "qty": qty, "time_in_force": "day", "order_class": "mleg", "legs": legs}
        self.submit(account, body)

    @rule(account=accounts, which=st.integers(0, 50))
    def cancel(self, account, which):
        book = self.world.accounts[account]
        orders = book.open_orders()
        if orders:
            with refusals():
                self.world.exchange.cancel(book, orders[which % len(orders)])

    @rule(account=accounts, which=st.integers(0, 50), qty=quantities, offset=offsets)
    def replace(self, account, which, qty, offset):
        book = self.world.accounts[account]
        orders = [order for order in book.open_orders() if order.type in {"limit", "stop"}]
        if not orders:
            return
        order = orders[which % len(orders)]
        name = "limit_price" if order.type == "limit" else "stop_price"
        body = {name: price(order.symbol, offset)} | ({"qty": qty * 10} if order.group_id is None else {})
        with refusals():
            self.world.exchange.settle_replacement(self.world.exchange.replace(book, order, replacing.read(body)))

    @rule(symbol=symbols, offset=offsets, width=st.integers(0, 5), sides=st.sampled_from(("both", "bid", "ask")))
    def quote(self, symbol, offset, width, sides):
        bid = price(symbol, offset) if sides != "ask" else ""
        ask = price(symbol, offset + width) if sides != "bid" else ""
        self.world.show([(symbol, bid, ask, "1" if bid else "", "1" if ask else "")], [])

    @rule(seconds=st.sampled_from((1, 20, 61, 900)))
    def wait(self, seconds):
        self.world.timeline.advance(self.world.timeline.now + timedelta(seconds=seconds))

    @rule(account=accounts, symbol=symbols, qty=quantities)
    def close_behind(self, account, symbol, qty):
        self.world.close_behind(account, symbol, Decimal(qty))

    @rule(account=accounts, symbol=st.sampled_from(SYMBOLS[1:]))
    def exercise(self, account, symbol):
        book = self.world.accounts[account]
        if book.held(symbol) > 0:
            with refusals():
                self.world.settlement.exercise(book, self.world.registry.known(symbol))

    @rule(holding=st.booleans())
    def hold(self, holding):
        self.world.exchange.hold_fills(holding)

    @rule(fills=st.sampled_from((0, 5)), replacements=st.sampled_from((0, 5)), cancels=st.sampled_from((0, 5)))
    def delay(self, fills, replacements, cancels):
        self.world.exchange.delay = timedelta(seconds=fills)
        self.world.exchange.replace_delay = timedelta(seconds=replacements)
        self.world.exchange.cancel_delay = timedelta(seconds=cancels)

    @rule(account=accounts, which=st.integers(0, 50), status=st.sampled_from(sorted(ASIDE_STATES)))
    def set_aside(self, account, which, status):
        orders = [o for o in self.world.accounts[account].open_orders() if o.status in {"new", "partially_filled"}]
        if orders:
            self.world.exchange.set_aside(orders[which % len(orders)], status, timedelta(seconds=30))

    @rule(account=accounts, qty=quantities, role=st.sampled_from(("stop_loss", "take_profit")), offset=offsets)
    def exit_behind(self, account, qty, role, offset):
        book = self.world.accounts[account]
        self.world.exchange.exit_behind(book, STOCK, Decimal(qty), role, Decimal(price(STOCK, offset)))

    @invariant()
    def money_and_positions_follow_from_what_happened(self):
        """Cash and quantities are those of the start plus every execution and every change without an order."""
        for name, book in self.world.accounts.items():
            cash, held = CASH[name], Counter()
            for fill in book.activities:
                instrument = self.world.registry.known(fill.symbol)
                signed = fill.qty if fill.side == "buy" else -fill.qty
                cash -= signed * fill.price * instrument.multiplier
                held[fill.symbol] += signed
            for change in book.non_trades:
                cash += change.net_amount
                held[change.symbol] += change.qty
            assert cash == book.cash
            assert {s: q for s, q in held.items() if q} == {s: p.qty for s, p in book.positions.items()}

    @invariant()
    def orders_hold_no_more_than_there_is(self):
        """What closing orders claim is never more than the position, and nothing fills beyond its quantity."""
        for book in self.world.accounts.values():
            for symbol in SYMBOLS:
                claims = Counter()
                for order in book.closing_orders(symbol):
                    key = order.group_id or order.id
                    claims[key] = max(claims[key], order.left)
                assert sum(claims.values()) <= abs(book.held(symbol))
            assert all(0 <= order.filled_qty <= order.qty for order in book.orders.values() if order.is_open)

    @invariant()
    def the_stream_the_journal_and_the_activities_agree(self):
        """Every execution is in all three, once."""
        journal = defaultdict(list)
        for entry in map(json.loads, self.world.journal.since(0)):
            if entry["kind"] == "event":
                journal[entry["account"]].extend(fills_of(entry))
        for name, book in self.world.accounts.items():
            listed = [(fill.order_id, fill.symbol, str(fill.qty.normalize()), fill.price) for fill in book.activities]
            assert sorted(listed) == sorted(self.told[name])
            assert sorted(listed) == sorted(journal[name])


def fills_of(data):
    """The executions that an event tells: one, or one for each leg."""
    if data["event"] not in {"fill", "partial_fill"}:
        return []
    if "legs" in data:
        return [(leg["order_id"], leg["symbol"], norm(leg["qty"]), Decimal(leg["price"])) for leg in data["legs"]]
    order = data["order"]
    return [(order["id"], order["symbol"], norm(data["qty"]), Decimal(data["price"]))]


def norm(text):
    return str(Decimal(text).normalize())


def test_nothing_appears_or_vanishes():
    """A few hundred steps."""
    run_state_machine_as_test(Books, settings=settings(max_examples=8, stateful_step_count=40))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_appears_or_vanishes_in_ten_thousand_operations():
    """The same, for long."""
    run_state_machine_as_test(Books, settings=settings(max_examples=125, stateful_step_count=80))
