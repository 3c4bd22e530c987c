"""What an account's owner chooses, and which stocks can be borrowed."""

import pytest

from paper.options import account, parse
from paper.switches import Switches
from tests.paper.days import CALL, STOCK


def configure(paper, name="large", **changes):
    return paper.call("PATCH", "/v2/account/configurations", name, json=changes)


def test_a_lower_option_level_is_in_force_at_once(paper):
    """It never rises above what was approved."""
    status, body = configure(paper, max_options_trading_level=1)
    refused = paper.submit(symbol=CALL, side="buy")
    shown = paper.get("/v2/account")
    configure(paper, max_options_trading_level=3)

    assert (200, 1) == (status, body["max_options_trading_level"])
    assert "account not eligible to trade long option contracts" == refused[1]["message"]
    assert (3, 1) == (shown["options_approved_level"], shown["options_trading_level"])
    assert 200 == paper.submit(symbol=CALL, side="buy")[0]


def test_no_shorting_is_chosen(paper):
    """And taken back; an account that may not short gains nothing by it."""
    answers = []
    for choice in (True, False):
        configure(paper, "margin", no_shorting=choice)
        answers.append(paper.submit("margin", symbol=STOCK, side="sell")[0])
    configure(paper, no_shorting=False)

    assert [403, 200] == answers
    assert 403 == paper.submit(symbol=STOCK, side="sell")[0]


def test_suspended_trading_refuses_orders(paper):
    """Until it is lifted."""
    configure(paper, suspend_trade=True)
    refused = paper.submit(symbol=STOCK, side="buy")[0]
    suspended = paper.get("/v2/account")["trade_suspended_by_user"]
    configure(paper, suspend_trade=False)

    assert (403, True) == (refused, suspended)
    assert 200 == paper.submit(symbol=STOCK, side="buy")[0]


def test_other_choices_are_kept(paper):
    """They are shown again."""
    configure(paper, trade_confirm_email="all", max_margin_multiplier="1", fractional_trading=True)

    shown = paper.get("/v2/account/configurations")
    assert ("all", "1", True) == tuple(
        shown[key] for key in ("trade_confirm_email", "max_margin_multiplier", "fractional_trading")
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("suspend_trade", "yes"),
        ("max_options_trading_level", 4),
        ("max_options_trading_level", "x"),
        ("max_margin_multiplier", "3"),
        ("trade_confirm_email", "some"),
    ],
)
def test_a_senseless_choice_is_refused(paper, name, value):
    """With its name."""
    assert (422, {"code": 40010001, "message": f"invalid {name}"}) == configure(paper, **{name: value})
    assert 400 == paper.call("PATCH", "/v2/account/configurations", data=b"[]")[0]


def test_a_stock_that_cannot_be_borrowed(a_paper):
    """It is marked, and cannot be sold short."""
    paper = a_paper(accounts=(account("margin=50000,shorting"),), hard_to_borrow=(STOCK,))
    paper.to("14:31:00")

    asset, answer = paper.get(f"/v2/assets/{STOCK}"), paper.submit("margin", symbol=STOCK, side="sell")

    assert (False, False, "hard_to_borrow") == tuple(
        asset[key] for key in ("shortable", "easy_to_borrow", "borrow_status")
    )
    assert (422, {"code": 42210000, "message": f'asset "{STOCK}" cannot be sold short'}) == answer


def test_easy_to_borrow_can_be_dropped(a_paper):
    """As the newest specification does."""
    paper = a_paper(switches=Switches(easy_to_borrow_field=False, related_orders=False))
    paper.to("14:31:00")
    paper.bought(CALL)

    assert "easy_to_borrow" not in paper.get(f"/v2/assets/{STOCK}")
    assert "related_orders" not in paper.submit(symbol=CALL, side="sell", qty=2)[1]


def test_switches_are_read_from_the_command_line():
    """By name; an unknown one ends the program."""
    options = parse(
        ["--data", "x", "--switch", "option_gtc=false", "--switch", "expiry_cutoff_minutes=45", "--hard-to-borrow", "A"]
    )

    assert (Switches(option_gtc=False, expiry_cutoff_minutes=45), ("A",)) == (options.switches, options.hard_to_borrow)
    for wrong in ("nothing=true", "option_gtc=maybe", "expiry_cutoff_minutes=-1", "option_gtc"):
        with pytest.raises(SystemExit):
            parse(["--data", "x", "--switch", wrong])
