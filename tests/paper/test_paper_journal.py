"""The journal, the list of activities and the streams tell one story."""

import json
import random
from decimal import Decimal

from tests.paper.days import CALL, PUT, STOCK
from tests.paper.test_paper_events import ACTIVITIES, TRADES, past
from tests.paper.wires import LISTEN, OLD_KEYS, received, trade_stream


def traded(paper, seed):
    """Some orders, cancels, refusals and moves of the market, drawn by a seed."""
    draw = random.Random(seed)
    for step in range(40):
        symbol, side = draw.choice((CALL, PUT, STOCK)), draw.choice(("buy", "buy", "sell"))
        order = {"symbol": symbol, "side": side, "qty": draw.randint(1, 4), "client_order_id": f"o{step}"}
        if draw.random() < 0.5:
            order |= {"type": "limit", "limit_price": draw.choice(("0.45", "1.05", "99.95"))}
        paper.submit(**order)
        if draw.random() < 0.2:
            paper.call("DELETE", "/v2/orders")
        bid = Decimal(draw.randint(80, 120)) / 100
        paper.quote(CALL, str(bid), str(bid + Decimal("0.05")))
    paper.control("POST", "/close", account="large", symbol=CALL, qty=1)


def test_journal_activities_and_streams_tell_one_story(a_paper, tmp_path):
    """Every execution once in each; every event of the stream is in the journal; every request with its reply too."""
    path = tmp_path / "journal.jsonl"
    paper = a_paper(journal=path, partial_ratio=0.5, rate_limit=100_000)
    paper.to("14:31:00")
    socket, _ = trade_stream(paper, OLD_KEYS, LISTEN)
    traded(paper, 7)
    activities = paper.get("/v2/account/activities/FILL", direction="asc", page_size=100)
    until = {"since": "2026-02-03", "until": "2026-02-03T14:31:00Z"}
    streamed = [received(socket)["data"] for _ in past(paper, TRADES, **until)]
    entries = [json.loads(line) for line in path.read_text().splitlines()]

    events = [entry for entry in entries if entry["kind"] == "event"]
    assert [event["event_id"] for event in events] == [data["event_id"] for data in streamed]
    assert streamed == [
        {key: value for key, value in event.items() if key != "account_id"} for _, event in past(paper, TRADES, **until)
    ]
    fills = [event for event in events if event["event"] in ("fill", "partial_fill")]
    assert len(fills) > 10
    in_journal = [(f["order"]["id"], f["qty"], f["price"], f["order"]["filled_qty"]) for f in fills]
    assert in_journal == [(a["order_id"], a["qty"], a["price"], a["cum_qty"]) for a in activities]
    assert [f["execution_id"] for f in fills] == [e["ref_id"] for _, e in past(paper, ACTIVITIES, **until)]
    assert fills[-1]["cash"] == f"{Decimal(paper.get('/v2/account')['cash']):.2f}"
    requests = [entry for entry in entries if entry["kind"] == "request"]
    assert all("reply" in entry for entry in requests if entry["status"] == 200 and entry["path"] != TRADES)
    assert [entry["n"] for entry in entries] == list(range(1, len(entries) + 1))
    socket.close()
