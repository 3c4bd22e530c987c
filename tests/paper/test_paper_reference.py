"""Clock, calendar, assets, contracts and market data over REST, keys and limits of both APIs."""

from datetime import date
from typing import Any

import pytest

from paper import sessions
from tests.paper.days import CALL, LAST_DAY_CALL, PUT, SATURDAY_PUT, STOCK, write_day


def test_the_clock_is_new_yorks(a_paper):
    """Wall time with its offset; at the close the market is closed."""
    paper = a_paper()
    before = paper.get("/v2/clock")
    paper.to("21:00:00")

    assert {
        "timestamp": "2026-02-03T09:30:00-05:00",
        "is_open": True,
        "next_open": "2026-02-04T09:30:00-05:00",
        "next_close": "2026-02-03T16:00:00-05:00",
    } == before
    assert False is paper.get("/v2/clock")["is_open"]


def test_the_calendar_knows_recorded_half_days_and_the_rules_around(a_paper, tmp_path):
    """A recorded early close is told as it is; before and after, holidays and weekends are left out."""
    paper = a_paper(write_day(tmp_path / "half", close="18:00:00", early_close=True))

    days = paper.get("/v2/calendar", start="2026-01-30", end="2026-02-17")

    assert "30 02 03 04 05 06 09 10 11 12 13 17" == " ".join(entry["date"][-2:] for entry in days)
    assert ["16:00", "13:00", "16:00"] == [entry["close"] for entry in days[1:4]]
    assert "2026-02-17" == days[-2]["settlement_date"], "16 February is Presidents' Day"


@pytest.mark.parametrize(
    ("year", "resting"),
    [
        (2015, "01-01 01-19 02-16 04-03 05-25 07-03 09-07 11-26 12-25"),
        (2022, "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26"),
        (2026, "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25"),
    ],
)
def test_holidays_follow_the_exchanges_rules(year, resting):
    """Three published years, with a New Year on a Saturday (2022) and holidays on weekends."""
    assert resting.split() == [f"{day:%m-%d}" for day in sorted(sessions.holidays(year))]


def test_early_closes_follow_the_exchanges_rules():
    """The day after Thanksgiving, Christmas Eve and the third of July, where they are trading days."""
    assert [date(2015, 11, 27), date(2015, 12, 24)] == sorted(sessions.early_closes(2015))
    assert [date(2025, 7, 3), date(2025, 11, 28), date(2025, 12, 24)] == sorted(sessions.early_closes(2025))


def test_assets_are_the_underlyings(paper):
    """By symbol, by id, in the list; unknown ones are 404."""
    asset = paper.get(f"/v2/assets/{STOCK}")

    assert ("us_equity", "active", True, ["has_options"]) == tuple(
        asset[key] for key in ("class", "status", "easy_to_borrow", "attributes")
    )
    assert asset == paper.get(f"/v2/assets/{asset['id']}")
    assert [asset] == paper.get("/v2/assets", status="active", asset_class="us_equity")
    assert [] == paper.get("/v2/assets", attributes="ptp_no_exception")
    assert (404, {"code": 40410000, "message": "asset not found for XYZ"}) == paper.call("GET", "/v2/assets/XYZ")


def test_contracts_are_filtered_and_paged(paper):
    """By underlying, dates, type and strike; without dates only up to the coming weekend."""

    def listed(**params):
        return [contract["symbol"] for contract in paper.get("/v2/options/contracts", **params)["option_contracts"]]

    page = paper.get("/v2/options/contracts", underlying_symbols="ACME", limit=2)
    rest = listed(page_token=page["next_page_token"])

    assert [LAST_DAY_CALL, CALL, PUT, SATURDAY_PUT] == [c["symbol"] for c in page["option_contracts"]] + rest
    assert [PUT, SATURDAY_PUT] == listed(type="put")
    assert [SATURDAY_PUT] == listed(strike_price_lte="95")
    assert [LAST_DAY_CALL] == listed(expiration_date="2026-02-03")
    assert [] == listed(underlying_symbols="XYZ")
    assert 422 == paper.call("GET", "/v2/options/contracts", params={"page_token": "???"})[0]


def test_a_contract_is_inactive_after_its_last_trading_day(paper):
    """The one of today ends with the session; the Saturday one lives until Friday's close."""
    paper.to("21:00:00")

    shown = {s: paper.get(f"/v2/options/contracts/{s}")["status"] for s in (LAST_DAY_CALL, CALL, SATURDAY_PUT)}

    assert {LAST_DAY_CALL: "inactive", CALL: "active", SATURDAY_PUT: "active"} == shown
    message = {"code": 40410000, "message": "option contract NONE not found"}
    assert (404, message) == paper.call("GET", "/v2/options/contracts/NONE")


def test_a_contract_tells_what_it_closed_at(paper):
    """From the first close on; a contract without a price has none, which is not zero."""
    before = paper.get(f"/v2/options/contracts/{CALL}")
    paper.to("21:00:00")
    after = [paper.get(f"/v2/options/contracts/{symbol}") for symbol in (CALL, SATURDAY_PUT)]

    assert [(None, None), ("0.95", "2026-02-03"), (None, None)] == [
        (shown["close_price"], shown["close_price_date"]) for shown in (before, *after)
    ]


def test_latest_option_quotes_are_numbers_and_a_missing_bid_is_zero(paper):
    """Unknown symbols are silently missing."""
    body = paper.get("/v1beta1/options/quotes/latest", symbols=f"{CALL},{PUT},NONE", feed="indicative")

    assert {CALL, PUT} == set(body["quotes"])
    assert {
        "bp": 1.0, "bs": 10, "bx": "A", "ap": 1.1, "as": 20, "ax": "A", "c": "A", "t": "2026-02-03T14:30:59.999000000Z"
    } == body["quotes"][CALL]  # fmt: skip
    assert (0, 0, 0.5) == tuple(body["quotes"][PUT][key] for key in ("bp", "bs", "ap"))


def test_trades_and_snapshots_appear_when_they_happen(paper):
    """Nothing is known before its time."""
    before = paper.get("/v1beta1/options/trades/latest", symbols=CALL)
    paper.to("14:32:00")
    snapshots = paper.get("/v1beta1/options/snapshots", symbols=f"{CALL},{SATURDAY_PUT}")

    assert {"trades": {}} == before
    assert {CALL} == set(snapshots["snapshots"])
    assert (1.25, 7) == tuple(snapshots["snapshots"][CALL]["latestTrade"][key] for key in ("p", "s"))


def test_a_contracts_day_is_counted_from_its_trades(a_paper, tmp_path):
    """The bar of the day holds all trades so far, the latest trade only the last; without any there is no bar."""
    trades = [("14:31:10", CALL, "1.25", "7"), ("14:31:20", CALL, "1.30", "500"), ("14:31:30", CALL, "1.10", "1")]
    paper = a_paper(write_day(tmp_path / "traded", trades=trades))

    def snapshot() -> dict[str, Any]:
        return paper.get("/v1beta1/options/snapshots", symbols=CALL)["snapshots"][CALL]

    paper.to("14:31:05")
    assert "dailyBar" not in snapshot()
    paper.to("14:32:00")

    assert 1 == snapshot()["latestTrade"]["s"]
    assert {
        "t": "2026-02-03T05:00:00.000000000Z",
        "o": 1.25,
        "h": 1.3,
        "l": 1.1,
        "c": 1.1,
        "v": 508,
        "n": 3,
        "vw": 1.298917,
    } == (snapshot()["dailyBar"])


def test_the_chain_lists_contracts_that_have_shown_a_price(paper):
    """Filtered and paged; the contract without quotes is not in it."""

    def chain(**params):
        body = paper.get("/v1beta1/options/snapshots/ACME", **params)
        return list(body["snapshots"]), body["next_page_token"]

    first, token = chain(limit=2)

    assert ([LAST_DAY_CALL, CALL], ([PUT], None)) == (first, chain(page_token=token))
    assert ([PUT], None) == chain(type="put")
    assert ([], None) == chain(updated_since="2026-02-03T14:31:00Z")


def test_stock_data_comes_from_the_derived_quotes(paper):
    """Latest quote, snapshot, bars of the mid; there are no stock trades."""
    paper.to("14:32:00")

    assert (100.4, 100.6) == tuple(
        paper.get("/v2/stocks/quotes/latest", symbols=STOCK)["quotes"][STOCK][key] for key in ("bp", "ap")
    )
    assert {"trades": {}} == paper.get("/v2/stocks/trades/latest", symbols=STOCK)
    snapshot = paper.get("/v2/stocks/snapshots", symbols=f"{STOCK},XYZ")[STOCK]
    assert (100.0, 100.5, 100.5) == (snapshot["dailyBar"]["o"], snapshot["dailyBar"]["c"], snapshot["minuteBar"]["c"])


def test_bars_are_made_per_minute_hour_or_day(paper):
    """Labelled by their start, cut by start and end, paged by limit."""
    paper.to("14:32:00")

    def bars(**params):
        body = paper.get("/v2/stocks/bars", symbols=STOCK, **params)
        return [(bar["t"][11:16], bar["c"]) for bar in body["bars"].get(STOCK, [])], body["next_page_token"]

    assert ([("14:30", 100.0), ("14:31", 100.5)], None) == bars(timeframe="1Min")
    assert ([("14:31", 100.5)], None) == bars(timeframe="1Min", start="2026-02-03T14:31:00Z")
    assert ([("14:00", 100.5)], None) == bars(timeframe="1Hour")
    assert ([("05:00", 100.5)], None) == bars(timeframe="1Day")
    first, token = bars(timeframe="1Min", limit=1)
    assert ([("14:30", 100.0)], [("14:31", 100.5)]) == (first, bars(timeframe="1Min", page_token=token)[0])


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v2/stocks/quotes/latest", 400, {"message": "symbols is required"}),
        ("/v2/stocks/bars?symbols=ACME&timeframe=1Year", 400, {"message": "invalid timeframe: 1Year"}),
        ("/v2/stocks/bars?symbols=ACME&timeframe=1Min&limit=x", 400, {"message": "invalid limit"}),
        ("/v1beta1/options/quotes/latest?symbols=A&feed=opra", 403, {"message": "OPRA agreement is not signed"}),
        (
            "/v2/stocks/quotes/latest?symbols=ACME&feed=sip",
            403,
            {"code": 42210000, "message": "subscription does not permit querying recent SIP data"},
        ),
        ("/v2/nothing/here", 404, {"code": 40410000, "message": "endpoint not found"}),
        ("/v2/nothing", 404, {"code": 40410000, "message": "endpoint not found"}),
        ("/", 404, {"code": 40410000, "message": "endpoint not found"}),
    ],
)
def test_wrong_questions_are_answered_in_json(paper, path, status, body):
    """The data API's errors carry no code."""
    assert (status, body) == paper.call("GET", path)


def test_a_wrong_method_is_405(paper):
    """In JSON too."""
    assert (405, 40510000) == (lambda a: (a[0], a[1]["code"]))(paper.call("PATCH", "/v2/account"))


@pytest.mark.parametrize(
    "headers", [{"APCA-API-SECRET-KEY": "wrong"}, {"APCA-API-KEY-ID": "nobody"}, {"Authorization": "Basic ?"}]
)
def test_wrong_keys_are_refused_by_both_apis(paper, headers):
    """401 with a code from trading, 403 without one from data."""
    trading = paper.call("GET", "/v2/account", headers=headers)
    data = paper.call("GET", "/v2/stocks/quotes/latest?symbols=ACME", headers=headers)

    assert (401, {"code": 40110000, "message": "request is not authorized"}) == trading
    assert (403, {"message": "forbidden."}) == data


def test_the_rate_limit_counts_on_this_clock(a_paper):
    """Ten a minute: the eleventh of one instant is refused, six seconds later one more passes; data has its own."""
    paper = a_paper(rate_limit=10)
    statuses = [paper.call("GET", "/v2/clock")[0] for _ in range(11)]
    refused = paper.session.get(
        paper.said["rest"] + "/v2/clock", headers={"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"}
    )
    data = [paper.call("GET", "/v2/stocks/quotes/latest?symbols=ACME") for _ in range(11)]
    other = paper.call("GET", "/v2/clock", "tiny")[0]
    paper.to("14:30:06")
    later = [paper.call("GET", "/v2/clock")[0] for _ in range(2)]

    assert [200] * 10 + [429] == statuses
    assert {"code": 42910000, "message": "rate limit exceeded"} == refused.json()
    assert ("10", "0", str(1770129000 + 60)) == tuple(
        refused.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")
    )
    assert (429, {"message": "too many requests."}) == data[-1]
    assert (200, [200, 429]) == (other, later)


def test_underlying_rows_are_stock_quotes_of_size_one(paper):
    """The recorded underlying has no sizes; one is what Alpaca's smallest quote shows."""
    assert (1, 1) == tuple(
        paper.get("/v2/stocks/quotes/latest", symbols=STOCK)["quotes"][STOCK][k] for k in ("bs", "as")
    )
