"""What survives a restart: everything that a client was told."""

import signal
import sqlite3
import threading
from decimal import Decimal

import pytest
import requests

from paper.options import Options
from tests.paper.days import CALL, PUT, STOCK, a_contract, write_day
from tests.paper.kit import serving
from tests.paper.test_paper_events import TRADES, past
from tests.paper.test_paper_program import program

KEYS = {"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"}


def started(tmp_path, *folders, **options):
    """A server on the file of this test."""
    data = folders or (tmp_path / "day",)
    chosen = {"speed": 0.0, "partial_ratio": 0.0, "state": tmp_path / "state.db"} | options
    return serving(Options(data=data, **chosen))


def told(paper, account="large"):
    """Everything that a client can read of an account, and its events."""
    return {
        "account": paper.get("/v2/account", account),
        "positions": paper.get("/v2/positions", account),
        "orders": paper.get("/v2/orders", account, status="all", limit=500),
        "activities": paper.get("/v2/account/activities", account),
        "events": past(paper, TRADES, account=account, since="2026-02-03", until="2026-02-03T14:31:00Z"),
    }


def test_a_restart_forgets_nothing(tmp_path):
    """Orders open and ended, positions long and short, cash, activities, events, restrictions and the clock."""
    write_day(tmp_path / "day")
    with started(tmp_path) as paper:
        paper.to("14:31:00")
        paper.bought(CALL, 3, client_order_id="mine")
        paper.submit(symbol=CALL, side="sell", qty=2, type="limit", limit_price="5", client_order_id="open")
        paper.submit(symbol=PUT, side="sell", qty=1, type="limit", limit_price="0.40")
        paper.control("POST", "/book", account="tiny", do="open", symbol=STOCK, qty=-7, price=100)
        paper.control("POST", "/accounts", account="tiny", cash=123, suspended_by_user=True)
        exits = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}
        assert 200 == paper.submit(symbol=STOCK, side="buy", qty=2, order_class="bracket", **exits)[0]
        before = [told(paper, account) for account in ("large", "tiny")]
    with started(tmp_path) as paper:
        assert before == [told(paper, account) for account in ("large", "tiny")]
        assert "2026-02-03T14:31:00Z" == paper.said["clock"]
        assert (422, 40010001) == _refusal(paper.submit(symbol=CALL, side="buy", client_order_id="mine"))
        assert 403 == paper.submit(symbol=CALL, side="sell", qty=2)[0], "two of three are held for the open order"
        paper.quote(CALL, "5", "5.1")
        assert "filled" == paper.get("/v2/orders:by_client_order_id", client_order_id="open")["status"]


def _refusal(answer):
    return answer[0], answer[1]["code"]


def test_another_day_goes_on_with_the_same_file(tmp_path):
    """The clock moves to the new day, day orders have expired, gtc ones live; what only the first day knew is held."""
    write_day(tmp_path / "day")
    other = a_contract("ACME260213C00101000")
    write_day(
        tmp_path / "next",
        day="2026-02-04",
        contracts=[other],
        quotes=[("14:31:00", other["symbol"], "1", "2")],
        trades=[],
    )
    with started(tmp_path) as paper:
        paper.to("14:31:00")
        paper.bought(CALL, 1)
        ends = paper.bought(CALL, type="limit", limit_price="0.10")["id"]
        lives = paper.bought(CALL, type="limit", limit_price="0.10", time_in_force="gtc")["id"]
    with started(tmp_path, tmp_path / "next") as paper:
        assert "2026-02-04T14:30:00Z" == paper.said["clock"]
        assert ("expired", "new") == tuple(paper.get(f"/v2/orders/{order}")["status"] for order in (ends, lives))
        assert ("1", CALL) == tuple(paper.get(f"/v2/positions/{CALL}")[key] for key in ("qty", "symbol"))
        paper.quote(CALL, "2", "2.10")
        assert 204 == paper.call("DELETE", f"/v2/orders/{lives}")[0]
        assert 200 == paper.call("DELETE", f"/v2/positions/{CALL}")[0]
        assert [] == paper.get("/v2/positions")


def test_an_account_of_the_file_is_there_without_being_named(tmp_path):
    """Its keys open it as before."""
    write_day(tmp_path / "day")
    from paper.options import AccountOption

    with started(tmp_path, accounts=(AccountOption("guest", Decimal(5000), 2),)):
        pass
    with started(tmp_path) as paper:
        account = paper.get("/v2/account", "guest")

    assert ("5000", 2) == (account["cash"], account["options_trading_level"])


def test_the_journal_goes_on(tmp_path):
    """In the same file, with the next number."""
    write_day(tmp_path / "day")
    path = tmp_path / "journal.jsonl"
    for _ in range(2):
        with started(tmp_path, journal=path) as paper:
            paper.get("/v2/clock")
    numbers = [line.split(",")[0] for line in path.read_text().splitlines()]

    assert [f'{{"n": {n}' for n in range(1, len(numbers) + 1)] == numbers


def test_a_file_that_is_no_state_is_refused(tmp_path, capsys):
    """Code 2 and one line."""
    from paper.server import main

    (tmp_path / "state.db").write_text("not a database " * 100)
    code = main(["--data", str(write_day(tmp_path / "day")), "--state", str(tmp_path / "state.db")])

    assert (2, True) == (code, "cannot be used" in capsys.readouterr().err)


@pytest.mark.parametrize(
    "after", [40, pytest.param(5, marks=pytest.mark.slow), pytest.param(90, marks=pytest.mark.slow)]
)
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path, after):
    """SIGKILL in the middle of order traffic: every order that was answered is there, and the book adds up."""
    arguments = ("--data", write_day(tmp_path / "day"), "--speed", 0, "--state", tmp_path / "state.db")
    arguments += ("--rate-limit", 1_000_000, "--start", "2026-02-03T14:31:30Z")
    process, said = program(*arguments)
    answered = []

    def trade():
        session = requests.Session()
        for n in range(10_000):
            side = "buy" if n % 3 else "sell"
            order = {"symbol": CALL, "side": side, "qty": 1, "type": "market", "time_in_force": "day"}
            try:
                response = session.post(
                    said["rest"] + "/v2/orders", json=order | {"client_order_id": f"k{n}"}, headers=KEYS, timeout=5
                )
            except requests.ConnectionError:
                return
            if response.status_code == 200:
                answered.append(f"k{n}")
            if len(answered) == after:
                process.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=trade)
    thread.start()
    thread.join(30)
    process.wait(10)
    with started(tmp_path, rate_limit=1_000_000) as paper:
        orders = paper.get("/v2/orders", status="all", limit=500)
        fills = paper.get("/v2/account/activities/FILL", page_size=100)
        held = sum(int(p["qty"]) for p in paper.get("/v2/positions"))
        cash = Decimal(paper.get("/v2/account")["cash"])
        told_of = {
            e["order"]["client_order_id"]
            for _, e in past(paper, TRADES, since="2026-02-03", until="2026-02-03T14:31:30Z")
        }

    assert after <= len(answered)
    assert set(answered) <= {order["client_order_id"] for order in orders}
    assert set(answered) <= told_of
    signed = [int(f["qty"]) * (1 if f["side"] == "buy" else -1) for f in fills]
    assert sum(signed) == held
    assert 100_000 - sum(q * Decimal(f["price"]) * 100 for q, f in zip(signed, fills, strict=True)) == cash
    assert "ok" == sqlite3.connect(tmp_path / "state.db").execute("PRAGMA integrity_check").fetchone()[0]


def test_a_pending_replacement_is_refused_by_a_restart(tmp_path):
    """The old order goes on, the replacement is rejected: a client finds both."""
    folder = write_day(tmp_path / "day")
    with started(tmp_path, folder) as paper:
        paper.to("14:31:00")
        paper.control("POST", "/fills", replace_delay_s=60)
        _, old = paper.submit(symbol=CALL, side="buy", type="limit", limit_price="0.50")
        _, new = paper.call("PATCH", f"/v2/orders/{old['id']}", json={"limit_price": "0.60"})
    with started(tmp_path, folder) as paper:
        shown = [paper.get(f"/v2/orders/{order['id']}") for order in (old, new)]
        power = paper.get("/v2/account")["buying_power"]

    assert [("new", None), ("rejected", None)] == [(order["status"], order["replaced_by"]) for order in shown]
    assert "99950" == power
