"""Several accounts in one server: each has keys, settings and books of its own."""

import argparse
from decimal import Decimal

import pytest

from paper.options import AccountOption, Options, account
from tests.paper.days import CALL, write_day
from tests.paper.kit import serving
from tests.paper.wires import LISTEN, trade_stream

GUEST = AccountOption("guest", Decimal(5_000), 2, secret="its own")


def with_secret(paper, secret, path="/v2/account"):
    return paper.call("GET", path, "guest", headers={"APCA-API-SECRET-KEY": secret})


def test_an_account_may_have_a_secret_of_its_own(a_paper):
    """REST, data and stream know it; the usual one does not open it, and its own opens no other account."""
    paper = a_paper(accounts=(GUEST,))
    keys = [{"action": "auth", "key": "guest", "secret": secret} for secret in ("paper", "its own")]
    socket, answers = trade_stream(paper, *keys, LISTEN)
    socket.close()

    assert [401, 200] == [with_secret(paper, secret)[0] for secret in ("paper", "its own")]
    quotes = f"/v1beta1/options/quotes/latest?symbols={CALL}"
    assert [403, 200] == [with_secret(paper, secret, quotes)[0] for secret in ("paper", "its own")]
    assert 401 == paper.call("GET", "/v2/account", "large", headers={"APCA-API-SECRET-KEY": "its own"})[0]
    assert ["unauthorized", "authorized"] == [answer["data"]["status"] for answer in answers[:2]]
    assert "its own" == paper.said["accounts"]["guest"]["secret"]


def test_a_state_file_keeps_it(tmp_path):
    """The account comes back with its keys, without being named again."""
    folder = write_day(tmp_path / "day")
    chosen = {"data": (folder,), "speed": 0.0, "state": tmp_path / "state.db"}
    with serving(Options(accounts=(GUEST,), **chosen)):
        pass
    with serving(Options(**chosen)) as paper:
        assert [401, 200] == [with_secret(paper, secret)[0] for secret in ("paper", "its own")]


def test_books_are_apart(paper):
    """Orders, positions, activities, cash and client ids of one account mean nothing to another."""
    mine = paper.bought(CALL, client_order_id="mine")
    theirs = paper.bought(CALL, 2, account="tiny", client_order_id="mine")

    assert mine["id"] != theirs["id"]
    assert 404 == paper.call("GET", f"/v2/orders/{mine['id']}", "tiny")[0]
    assert ["1", "2"] == [paper.get(f"/v2/positions/{CALL}", name)["qty"] for name in ("large", "tiny")]
    assert [1, 1] == [len(paper.get("/v2/account/activities/FILL", name)) for name in ("large", "tiny")]
    assert ["99890", "1780"] == [paper.get("/v2/account", name)["cash"] for name in ("large", "tiny")]


def test_an_account_is_named_on_the_command_line():
    """Level, shorting and secret in any order."""
    assert AccountOption("a", Decimal(5), 1, True, "s=1") == account("a=5,secret=s=1,shorting,level=1")
    for wrong in ("a=5,secret=", "a=5,key=x"):
        with pytest.raises(argparse.ArgumentTypeError, match="secret=TEXT"):
            account(wrong)
