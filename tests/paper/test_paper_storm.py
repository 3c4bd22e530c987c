"""Whatever is thrown at it: the book balances, positions equal their fills, and no request breaks the server."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paper import tickets
from paper.errors import ApiError
from paper.options import AccountOption, Options
from paper.tape import read_days
from paper.world import World
from tests.paper.days import CALL, PUT, STOCK, write_day

SYMBOLS = (CALL, PUT, STOCK)
ACCOUNTS = ("large", "tiny", "margin")
STEPS = [timedelta(seconds=s) for s in (1, 20, 61, 3600)]


def a_world(folder, seed):
    margin = AccountOption("margin", Decimal(50_000), shorting=True)
    options = Options(data=(folder,), speed=0.0, seed=seed, partial_ratio=0.5, accounts=(margin,))
    return World(options, read_days([folder]))


def act(world, luck, refused):
    """Do one random thing to a world; refusals are answers too, and noted."""
    account = world.accounts[luck.choice(ACCOUNTS)]
    deed, symbol = luck.random(), luck.choice(SYMBOLS)
    try:
        if deed < 0.45:
            world.exchange.route(world.exchange.accept(account, a_ticket(luck, symbol)))
        elif deed < 0.6 and account.open_orders():
            world.exchange.cancel(account, luck.choice(account.open_orders()))
        elif deed < 0.7:
            world.close_behind(account.name, symbol, Decimal(luck.randint(1, 5)))
        elif deed < 0.75:
            world.exchange.hold_fills(luck.random() < 0.5)
        elif deed < 0.9:
            bid = luck.randint(5, 20)
            sides = [f"{bid / 10}", f"{(bid + luck.randint(0, 4)) / 10}"]
            row = (symbol, *(side if luck.random() < 0.9 else "" for side in sides))
            world.show([(*row, "1", "1")], [])
        else:
            world.timeline.advance(world.timeline.now.replace(microsecond=0) + luck.choice(STEPS))
    except ApiError as error:
        refused.append(error.status)


def a_ticket(luck, symbol):
    body = {"symbol": symbol, "side": luck.choice(tickets.SIDES), "qty": luck.randint(1, 6), "type": "market"}
    if luck.random() < 0.6:
        body |= {"type": "limit", "limit_price": f"{luck.randint(4, 24) / 10}"}
    if symbol == STOCK and luck.random() < 0.3:
        body["time_in_force"] = luck.choice(("ioc", "fok"))
    return tickets.read({"time_in_force": luck.choice(("day", "gtc"))} | body)


def check(world, cash):
    """The promises of a book that hold at any moment."""
    for account in world.accounts.values():
        held = dict.fromkeys(SYMBOLS, Decimal(0))
        balance = cash[account.name]
        for entry in account.activities:
            sign = 1 if entry.side == "buy" else -1
            held[entry.symbol] += sign * entry.qty
            balance -= sign * entry.qty * entry.price * (1 if entry.symbol == STOCK else 100)
        assert balance == account.cash
        assert {s: q for s, q in held.items() if q} == {s: p.qty for s, p in account.positions.items()}
        for symbol in SYMBOLS:
            closing = sum((o.left for o in account.closing_orders(symbol)), Decimal(0))
            assert closing <= abs(held[symbol]), "no closing order can cross through zero"
        for order in account.orders.values():
            mine = [entry for entry in account.activities if entry.order_id == order.id]
            assert order.filled_qty == sum((entry.qty for entry in mine), Decimal(0)) <= order.qty
            assert len(mine) <= 2
            assert order.is_open == (order in account.open_orders(order.symbol))
            assert (order.status == "filled") == (order.left == 0)


@pytest.mark.parametrize("seed", range(12))
def test_storm(tmp_path, seed):
    """Orders, cancels, closes behind our back, quotes, held fills and time in any order: after every step cash and
    positions equal the fold over the fills, and what the closing orders claim is really there."""
    world, luck = a_world(write_day(tmp_path / "day"), seed), random.Random(seed)
    cash = {account.name: account.cash for account in world.accounts.values()}
    refused = []
    for _ in range(250):
        act(world, luck, refused)
        check(world, cash)
    assert {403, 422} >= set(refused)
    assert any(account.activities for account in world.accounts.values())


@pytest.mark.parametrize("seed", range(3))
def test_the_same_storm_leaves_the_same_book(tmp_path, seed):
    """Equal seeds, equal journals, down to every id."""
    folder = write_day(tmp_path / "day")
    journals = []
    for _ in range(2):
        world, luck = a_world(folder, seed), random.Random(seed)
        for _ in range(150):
            act(world, luck, [])
        journals.append(world.journal.since(0))
    assert journals[0] == journals[1]


WORDS = [CALL, STOCK, "limit", "buy", "day", "mleg"]
junk = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    | st.sampled_from(WORDS)
)
FIELDS = "symbol qty notional side type time_in_force limit_price stop_price client_order_id position_intent"
FIELDS += " order_class extended_hours legs take_profit"


@given(wrong=st.dictionaries(st.sampled_from(FIELDS.split()), junk, max_size=4))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_breaks_the_ticket(wrong):
    """Any value in any field: a ticket, or an answer in the 400s."""
    body = {"symbol": CALL, "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
    try:
        tickets.read(body | wrong)
        status = 200
    except ApiError as error:
        status = error.status

    assert status in {200, 422}


@pytest.mark.parametrize(
    "path",
    [
        "/v2/orders?limit=99999999999999999999",
        "/v2/orders?after=0001-01-01T00:00:00%2B14:00",
        "/v2/orders?symbols=%ff%fe",
        "/v2/orders:by_client_order_id?client_order_id=%ff",
        "/v2/orders/%00",
        "/v2/positions/%F0%9F%92%A9",
        "/v2/calendar?start=9999-12-31",
        "/v2/calendar?start=0001-01-01&end=9999-12-31",
        "/v2/options/contracts?strike_price_gte=1e99999",
        "/v2/options/contracts?page_token=%ff",
        "/v2/account/activities?page_size=0",
        "/v1beta1/options/snapshots/%2e%2e",
        "/v2/stocks/bars?symbols=ACME&timeframe=00Min",
        "/v2/stocks/bars?symbols=" + "A," * 101 + "&timeframe=1Day",
    ],
)
def test_no_path_or_query_breaks_the_server(paper, path):
    """An answer below 500, in JSON."""
    status, body = paper.call("GET", path)

    assert status < 500, body


def test_a_key_that_is_no_text_is_unauthorized(paper):
    """Bytes in a header that mean nothing."""
    status, _ = paper.call("GET", "/v2/account", headers={"APCA-API-SECRET-KEY": b"\xff\xfe"})

    assert 401 == status
