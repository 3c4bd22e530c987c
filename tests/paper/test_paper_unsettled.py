"""Contracts whose end nobody saw: what the underlying closed at settles them, and what is unknown is never zero."""

import logging

import pytest

from paper.options import Options, account
from paper.switches import Switches
from tests.paper.days import LAST_DAY_CALL, STOCK, a_contract, write_day
from tests.paper.kit import serving
from tests.paper.test_paper_events import ACTIVITIES, past

QUOTES = [("14:30:59.999", LAST_DAY_CALL, "0.20", "0.25")]
CONTRACTS = [a_contract(LAST_DAY_CALL)]
LATER = [a_contract("ACME260213C00101000")]
CLOSED_AT_110 = {"account": "large", "symbol": LAST_DAY_CALL, "qty": "1", "underlying": STOCK, "day": "2026-02-03"}


def a_day(tmp_path, name, day="2026-02-03", share=(("14:30:59.999", STOCK, "110", "110"),), contracts=CONTRACTS):
    quotes = [("14:30:59.999", contract["symbol"], "0.20", "0.25") for contract in contracts]
    return write_day(tmp_path / name, day=day, contracts=contracts, quotes=quotes, trades=[], underlying=share)


def started(tmp_path, *folders, **options):
    chosen = {"speed": 0.0, "partial_ratio": 0.0, "state": tmp_path / "state.db"} | options
    return serving(Options(data=folders, **chosen))


def held(paper):
    return {position["symbol"]: position["qty"] for position in paper.get("/v2/positions")}


def unsettled(paper):
    return paper.control("GET", "/unsettled")[1]["unsettled"]


def bought(tmp_path, folder):
    """Hold the contract of the last day, and go down in the middle of it."""
    with started(tmp_path, folder) as paper:
        paper.to("14:31:00")
        paper.bought(LAST_DAY_CALL)


def test_what_ended_while_the_server_was_away_is_settled_when_it_comes_back(tmp_path):
    """The same day, after its close: the tape shows what the share closed at, and the call is exercised by that."""
    folder = a_day(tmp_path, "day")
    bought(tmp_path, folder)
    from paper.times import parse

    with started(tmp_path, folder, start=parse("2026-02-03T22:00:00Z")) as paper:
        assert {STOCK: "100"} == held(paper)
        assert [] == unsettled(paper)
        told = past(paper, ACTIVITIES, since="2026-02-03", until="2026-02-03T22:00:00Z")
        assert ["FILL", "OPEXC", "OPTRD"] == [event["activity_type"] for _, event in told]
        account = paper.get("/v2/account")
        assert account["equity"] == account["last_equity"] == "100475", "100,000 - 25 + 100 x (110 - 105)"


def test_a_close_that_was_seen_is_kept(tmp_path):
    """Held since after the close, gone through a restart with days that do not show it: the file knows the price."""
    first, other = a_day(tmp_path, "day"), a_day(tmp_path, "next", "2026-02-04", contracts=LATER)
    with started(tmp_path, first) as paper:
        paper.to("21:00:00")
        book = paper.server.world.accounts["large"]
        book.book(paper.server.world.registry.known(LAST_DAY_CALL), 2, 0)
        paper.server._touched(book)
    with started(tmp_path, other) as paper:
        assert {STOCK: "200"} == held(paper)
        assert "110" == str(paper.server.world.market.closes[_day("2026-02-03")][STOCK])


def _day(text):
    from datetime import date

    return date.fromisoformat(text)


def test_what_nobody_knows_stays_and_is_told(tmp_path, caplog):
    """The day went on without the server: the position is there, listed, logged and in the journal, until told."""
    bought(tmp_path, a_day(tmp_path, "day"))
    other = a_day(tmp_path, "next", "2026-02-04", contracts=LATER)
    with caplog.at_level(logging.WARNING), started(tmp_path, other) as paper:
        [entry] = unsettled(paper)
        assert CLOSED_AT_110.items() <= entry.items()
        assert {LAST_DAY_CALL: "1"} == held(paper)
        assert f"large holds {LAST_DAY_CALL}, unsettled" in caplog.text
        assert "unsettled" in [e.get("reason") for e in paper.control("GET", "/journal")[1]["entries"]]
        assert (422, f'contract "{LAST_DAY_CALL}" is expired') == said(paper.submit(symbol=LAST_DAY_CALL, side="sell"))

        told = paper.control("POST", "/unsettled", symbol=STOCK, day="2026-02-03", price="104.99")
        assert (200, {"unsettled": []}) == told
        assert {} == held(paper)
        again = paper.control("POST", "/unsettled", symbol=STOCK, day="2026-02-03", price="106")
        assert (400, {"error": "ACME closed at 104.99 on 2026-02-03"}) == again


def said(answer):
    return answer[0], answer[1]["message"]


@pytest.mark.parametrize(("price", "left"), [("105", {}), ("106", {STOCK: "100"})])
def test_a_share_without_a_price_settles_nothing(a_paper, tmp_path, price, left):
    """At the close itself: no exercise and no expiry until the close is told."""
    paper = a_paper(a_day(tmp_path, "dark", share=()))
    paper.to("14:31:00")
    paper.bought(LAST_DAY_CALL)
    paper.to("22:00:00")
    still = held(paper)
    paper.control("POST", "/unsettled", symbol=STOCK, day="2026-02-03", price=price)

    assert ({LAST_DAY_CALL: "1"}, left) == (still, held(paper))


def test_yesterdays_price_is_not_todays_close(a_paper, tmp_path):
    """The share was not quoted on the contract's last day."""
    later = "ACME260204C00105000"
    first = a_day(tmp_path, "one", contracts=[a_contract(later)])
    paper = a_paper(first, a_day(tmp_path, "two", "2026-02-04", share=(), contracts=[a_contract(later)]))
    paper.to("14:31:00")
    paper.bought(later)
    paper.to("22:00:00", "2026-02-04")

    assert [later] == [entry["symbol"] for entry in unsettled(paper)]


def test_what_is_unsettled_is_not_sold_the_next_day(a_paper, tmp_path):
    """Its contract has ended: no liquidation finds it, and no event is planned for one."""
    first = a_day(tmp_path, "one", share=())
    paper = a_paper(first, a_day(tmp_path, "two", "2026-02-04", contracts=LATER), accounts=(account("poor=600"),))
    paper.to("14:31:00")
    paper.bought(LAST_DAY_CALL, account="poor")
    planned = paper.to("15:00:00", "2026-02-04")["next_event"]
    paper.to("22:00:00", "2026-02-04")

    assert "2026-02-04T21:00:00Z" == planned
    assert [("poor", LAST_DAY_CALL)] == [(entry["account"], entry["symbol"]) for entry in unsettled(paper)]


def test_shares_come_that_the_new_days_do_not_know(tmp_path):
    """The stock of a contract that ended is learnt when its shares are delivered."""
    bought(tmp_path, a_day(tmp_path, "day"))
    other = a_day(tmp_path, "next", "2026-02-04", share=(), contracts=[a_contract("ZZZ260213C00101000")])
    with started(tmp_path, other) as paper:
        code, body = paper.control("POST", "/unsettled", symbol=STOCK, day="2026-02-03", price="110")

        assert ((200, {"unsettled": []}), {STOCK: "100"}) == ((code, body), held(paper))


def test_nothing_is_liquidated_by_a_price_that_is_unknown(a_paper, tmp_path):
    """The journal says why the position was left alone."""
    paper = a_paper(a_day(tmp_path, "dark", share=()), switches=Switches())
    paper.to("14:31:00")
    paper.bought(LAST_DAY_CALL)
    paper.to("20:30:00")

    reasons = [entry.get("reason") for entry in paper.control("GET", "/journal")[1]["entries"]]
    assert "not liquidated: the underlying has no price" in reasons
    assert {LAST_DAY_CALL: "1"} == held(paper)


@pytest.mark.parametrize("body", [{}, {"symbol": STOCK, "price": 1}, {"symbol": STOCK, "day": "2026-02-03"}])
def test_a_close_needs_symbol_day_and_price(paper, body):
    """400 with a reason."""
    status, answer = paper.control("POST", "/unsettled", **body)

    assert (400, True) == (status, bool(answer["error"]))


def test_options_on_an_index_end_in_cash(a_paper, tmp_path):
    """OPCSH: long and short, what the contract is worth at the close; nothing is exercised before."""
    paper = a_paper(a_day(tmp_path, "day"), cash_settled=(STOCK,))
    paper.to("14:31:00")
    paper.bought(LAST_DAY_CALL, 2)
    early = paper.call("POST", f"/v2/positions/{LAST_DAY_CALL}/exercise")
    paper.control("POST", "/book", account="tiny", do="open", symbol=LAST_DAY_CALL, qty=-1, price="0.2")
    paper.to("12:00:00", "2026-02-04")

    [entry] = paper.get("/v2/account/activities/OPCSH")
    assert ("-2", "1000", "5", LAST_DAY_CALL, "executed") == tuple(
        entry[key] for key in ("qty", "net_amount", "price", "symbol", "status")
    )
    assert (422, {}, "100950") == (early[0], held(paper), paper.get("/v2/account")["cash"])
    assert "1500" == paper.get("/v2/account", "tiny")["cash"]
