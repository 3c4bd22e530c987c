"""The levers: what they change, what they write down, what they announce, and what they refuse to do."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from actors import keeper
from cli import acts, letters
from cli.wiring import Wiring
from db import accounts, dead_letters, latches, sessions
from domain.account import LossKind, TradingState
from domain.events import AccountStateChanged
from domain.loss import Sighting
from domain.session import Session
from streams import dead
from streams.clients import writing_client
from streams.codec import decode
from streams.record import read_fixture
from tests.cli.conftest import Answer
from tests.cli.house import AAA, BBB, House
from tests.factories import LARGE, SESSION, TINY

Gapless = Callable[..., Answer]


def state_of(house: House, account: Any = LARGE) -> tuple[str, str]:
    with house.engine.connect() as tx:
        return accounts.state_of(tx, account)


def changes(house: House) -> list[tuple[str, str, str, str]]:
    with house.engine.connect() as tx:
        rows = tx.execute(text("SELECT account, by, what, reason FROM account_changes ORDER BY change_id"))
        return [tuple(row) for row in rows]  # type: ignore[misc]


def announced(client: redis.Redis) -> list[Any]:
    rows: Any = client.xrange("decisions")
    return [decode(fields) for _, fields in rows]


# ---------------------------------------------------------------- trading state


@pytest.mark.parametrize(("lever", "state"), [("halt", "halted"), ("reduce", "reducing")])
def test_a_lever_sets_the_state_and_writes_down_who_and_why(
    house: House, gapless: Gapless, redis_client: redis.Redis, lever: str, state: str
):
    """The row, the audit and the fact on `decisions` say the same; the other account is left alone."""
    answer = gapless(lever, LARGE, "--reason", "fire drill", "--json")
    [fact] = [f for f in announced(redis_client) if isinstance(f, AccountStateChanged)]

    assert 0 == answer.code
    assert (state, "fire drill") == state_of(house)
    assert ("active", "test") == state_of(house, TINY)
    assert (LARGE, getpass.getuser(), f"state {state}", "fire drill") == changes(house)[-1]
    assert (LARGE, state, "fire drill", getpass.getuser()) == (fact.account, fact.state, fact.reason, fact.by)
    assert [("active", state, True)] == [
        (item["before"], item["state"], item["changed"]) for item in answer.document["items"]
    ]
    assert answer.document["announced"] is True


def test_all_means_every_account(house: House, gapless: Gapless):
    """One reason, every account, in one transaction."""
    gapless("halt", "--all", "--reason", "fire drill")

    assert {("halted", "fire drill")} == {state_of(house, account) for account in (LARGE, TINY)}


def test_nothing_opens_in_a_halted_account_and_its_entries_are_canceled(house: House, gapless: Gapless):
    """The gate refuses, naming state and reason; the entry that waited at the brokerage ends."""
    house.recommend("rec-1", qty=2)
    gapless("halt", LARGE, "--reason", "fire drill")
    house.sweep()
    house.recommend("rec-2", symbol=BBB)
    refusals = gapless("explain", "rec-2", "--json").document["items"][0]["refusals"]

    assert ["halted (fire drill)"] == [check["observed"] for check in refusals]
    assert ["canceled"] == [order["status"] for order in gapless("orders", "--json").document["items"]]


def test_resume_lets_entries_pass_again_after_a_daily_loss_too(house: House, gapless: Gapless):
    """The state and the latch of the daily loss go, and both are written down."""
    seen = Sighting(seen_at=house.now, evidence_at=house.now)
    with house.engine.begin() as tx:
        latches.see(tx, LARGE, LossKind.DAILY_LOSS, SESSION.day, "lost 500", seen)
        latches.confirm(tx, LARGE, LossKind.DAILY_LOSS, SESSION.day, "lost 500", house.now)
    gapless("halt", LARGE, "--reason", "fire drill")
    answer = gapless("resume", LARGE, "--reason", "drill is over", "--json")
    with house.engine.connect() as tx:
        latched = latches.live(tx, LARGE)

    assert ("active", "drill is over") == state_of(house)
    assert {} == latched
    assert [True] == [item["loss_latch_released"] for item in answer.document["items"]]
    assert ["state active", "daily_loss latch released"] == [what for _, _, what, _ in changes(house)[-2:]]


def test_to_pull_a_lever_twice_changes_nothing(house: House, gapless: Gapless, redis_client: redis.Redis):
    """The second time says so, and nobody is told again."""
    gapless("halt", LARGE, "--reason", "fire drill")
    answer = gapless("halt", LARGE, "--reason", "fire drill", "--json")

    assert [False] == [item["changed"] for item in answer.document["items"]]
    assert 1 == sum(1 for f in announced(redis_client) if isinstance(f, AccountStateChanged))


@pytest.mark.parametrize(
    "args",
    [
        ("halt", "large"),
        ("halt", "large", "--reason", "  "),
        ("halt", "large", "--reason", "interlock: no machine wrote this"),
        ("halt", "nobody", "--reason", "drill"),
        ("halt", "--reason", "drill"),
        ("halt", "large", "--all", "--reason", "drill"),
        ("dead", "drop", "1"),
    ],
)
def test_wrong_usage_changes_nothing(house: House, gapless: Gapless, args: tuple[str, ...]):
    """No reason, a machine's reason, an unknown account, none or both of account and `--all`: exit code 2."""
    before = changes(house)
    try:
        code = gapless(*args).code
    except acts.NoReason as e:
        code = e.exit_code

    assert 2 == code
    assert before == changes(house)


def test_a_lever_holds_while_streams_are_away(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The row is changed, the fact waits in the outbox, and the answer says that nobody was told yet."""
    monkeypatch.setattr("streams.publish.RETRY_PAUSES_S", (0.01,))
    acts.set_states(house.desk, [LARGE], TradingState.HALTED, "fire drill", "somebody")
    nowhere = writing_client(f"unix://{tmp_path}/nobody.sock")

    assert acts.publish(house.desk, nowhere) is False
    assert ("halted", "fire drill") == state_of(house)
    with house.engine.connect() as tx:
        assert 1 == tx.execute(text("SELECT count(*) FROM outbox WHERE published_at IS NULL")).scalar_one()


@pytest.mark.parametrize("lever", ["halt", "reduce", "resume"])
def test_a_command_whose_streams_are_away_is_done(
    house: House, gapless: Gapless, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lever: str
):
    """What was asked for is written: done, not "a server cannot be reached"."""
    monkeypatch.setenv("GAPLESS_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    answer = gapless(lever, LARGE, "--reason", "fire drill", "--json")

    assert (0, False) == (answer.code, answer.document["announced"])
    assert "fire drill" == state_of(house)[1]


# ---------------------------------------------------------------- flatten


@pytest.fixture
def executor_lives(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody keeps the leases of the executor's two lanes; the house does its work."""
    monkeypatch.setattr(keeper, "RENEW_EVERY_S", 0.05)
    keepers = [keeper.Keeper(house.engine, [f"executor:{lane}.{{0}}"], "executor") for lane in ("entries", "exits")]
    for one in keepers:
        one.start()
    yield
    for one in keepers:
        one.stop()


@pytest.mark.usefixtures("executor_lives")
def test_flatten_leaves_every_position_of_the_account(house: House, gapless: Gapless):
    """Closes for all that is held, cancels for what is not filled, nothing opens again; `tiny` is left alone."""
    house.recommend("rec-1", symbol=AAA, qty=2, accounts=(LARGE, TINY))
    house.trade()
    house.trade(TINY)
    house.recommend("rec-2", symbol=BBB, qty=3)
    answer = gapless("flatten", LARGE, "--confirm", LARGE, "--json")
    house.exits.sweep(house.now + timedelta(seconds=6))
    house.sweep()
    house.trade()

    assert 0 == answer.code
    assert [(AAA, 2)] == [(c["symbol"], c["qty"]) for c in answer.document["closing"]]
    assert [(BBB, 3)] == [(c["symbol"], c["unfilled_qty"]) for c in answer.document["canceling"]]
    assert ("reducing", "flatten") == state_of(house)
    positions = gapless("positions", "--all", "--json").document["items"]
    assert {(LARGE, 0, "manual"), (TINY, 2, None)} == {(p["account"], p["qty"], p["exit_reason"]) for p in positions}
    assert ["canceled"] == [
        order["status"] for order in gapless("orders", "--json").document["items"] if order["symbol"] == BBB
    ]


@pytest.mark.usefixtures("executor_lives")
def test_flatten_asks_for_the_accounts_name(house: House, gapless: Gapless):
    """Typed right it acts; typed wrong, confirmed wrong or not typed at all it does nothing."""
    house.recommend(qty=1)
    house.trade()
    wrong = gapless("flatten", LARGE, typed="tiny\n")
    confirmed_wrong = gapless("flatten", LARGE, "--confirm", TINY)
    silent = gapless("flatten", LARGE)
    untouched = state_of(house)
    right = gapless("flatten", LARGE, typed="large\n")

    assert (2, 2, 1) == (wrong.code, confirmed_wrong.code, silent.code)
    assert ("active", "test") == untouched
    assert 0 == right.code
    assert ("reducing", "flatten") == state_of(house)


@pytest.mark.usefixtures("executor_lives")
def test_flatten_keeps_a_halted_account_halted(house: House, gapless: Gapless):
    """Halted is lifted by a person's resume only; positions are closed all the same."""
    house.recommend(qty=1)
    house.trade()
    gapless("halt", LARGE, "--reason", "fire drill")
    answer = gapless("flatten", LARGE, "--confirm", LARGE, "--reason", "all out", "--json")

    assert ("halted", "all out") == state_of(house)
    assert 1 == len(answer.document["closing"])


@pytest.mark.usefixtures("executor_lives")
def test_flatten_after_the_close_waits_for_the_open(house: House, gapless: Gapless):
    """
    Nothing is written for the brokerage, and it is said so, with the time of the open where the calendar knows it.
    `positions` shows that they wait; at the open each is closed at the market, because a person said so.
    """
    day = timedelta(days=1)
    tomorrow = Session(day=SESSION.day + day, open=SESSION.open + day, close=SESSION.close + day)
    with house.engine.begin() as tx:
        sessions.keep(tx, [tomorrow])
    house.recommend(qty=1)
    house.trade()
    house.now = SESSION.close
    answer = gapless("flatten", LARGE, "--confirm", LARGE, "--json")
    told = gapless("flatten", LARGE, "--confirm", LARGE)

    [closing] = answer.document["closing"]
    assert (None, True, "2026-02-04T14:30:00Z") == tuple(closing[key] for key in ("order_id", "waits", "opens_at"))
    assert "it waits for the open" in " ".join(told.out.split())
    [row] = gapless("positions", "--json").document["items"]
    assert ("waiting for the open", "manual") == (row["state"], row["triggered_rule"])
    house.exit.handle_timer(house.now)
    assert [] == closes_of(house)

    house.now = tomorrow.open
    house.exit.handle_timer(house.now)
    assert [("market", "manual")] == closes_of(house)


def closes_of(house: House) -> list[tuple[str, str]]:
    with house.engine.connect() as tx:
        return [tuple(row) for row in tx.execute(text("SELECT type, reason FROM orders WHERE NOT opening"))]


@pytest.mark.usefixtures("executor_lives")
def test_flatten_follows_a_close_that_is_under_way(house: House, gapless: Gapless):
    """The second flatten writes no second close: one live close a position."""
    house.recommend(qty=1)
    house.trade()
    gapless("flatten", LARGE, "--confirm", LARGE)
    answer = gapless("flatten", LARGE, "--confirm", LARGE, "--json")

    assert [None] == [c["order_id"] for c in answer.document["closing"]]
    assert 1 == sum(o["intent"] == "sell_to_close" for o in gapless("orders", "--json").document["items"])


# ---------------------------------------------------------------- dead letters


@pytest.fixture
def number(house: House, redis_client: redis.Redis) -> int:
    """A dead letter of `fills`: its row, and the entry on the dead stream."""
    notes = {"stream": "fills.{0}", "entry_id": "5-0", "actor": "tracker", "reason": "no such order", "attempts": "5"}
    redis_client.xadd("fills.{0}.tracker.dead", {"type": "OrderFilled", "body": "{}", **notes, "version": "", "at": ""})
    with house.engine.begin() as tx:
        dead_letters.record(
            tx,
            stream="fills.{0}",
            actor="tracker",
            entry_id="5-0",
            fact_type="OrderFilled",
            body="{}",
            account=LARGE,
            reason="no such order",
            attempts=5,
            origin="test",
            now=house.now,
        )
        return int(tx.execute(text("SELECT dead_id FROM dead_letters")).scalar_one())


def entries(client: redis.Redis, stream: str = "fills.{0}") -> list[dict[bytes, bytes]]:
    rows: Any = client.xrange(stream)
    return [fields for _, fields in rows]


def test_dead_letters_are_listed_and_shown_whole(gapless: Gapless, number: int):
    """The list has no bodies, the letter has; it tells whether the streams still hold the entry."""
    [listed] = gapless("dead", "list", "--json").document["items"]
    shown = gapless("dead", "show", str(number), "--json").document

    assert (number, "no such order", 5) == (listed["dead_id"], listed["reason"], listed["attempts"])
    assert "body" not in listed
    assert ("{}", "waiting") == (shown["body"], shown["state"])
    assert shown["on_stream"] is not None


def test_requeue_puts_the_entry_back_at_the_end_of_its_stream(gapless: Gapless, number: int, redis_client: redis.Redis):
    """The entry's own fields, without what was noted about its end; its row says who did it; it is done once."""
    answer = gapless("dead", "requeue", str(number), "--json")
    again = gapless("dead", "requeue", str(number))

    assert (0, 1) == (answer.code, again.code)
    assert [{b"type": b"OrderFilled", b"body": b"{}"}] == entries(redis_client)
    assert [] == list(dead.letters(redis_client, "fills.{0}.tracker.dead"))
    assert [] == gapless("dead", "list", "--json").document["items"]
    shown = gapless("dead", "show", str(number), "--json").document
    assert "requeued" == shown["state"]
    assert shown["state_reason"].startswith(getpass.getuser())


def test_requeue_works_from_the_row_when_streams_were_wiped(gapless: Gapless, number: int, redis_client: redis.Redis):
    """The row has the entry: nothing is lost with Redis."""
    redis_client.flushall()

    assert 0 == gapless("dead", "requeue", str(number)).code
    assert [{b"type": b"OrderFilled", b"body": b"{}"}] == entries(redis_client)


def test_what_never_was_an_entry_cannot_be_requeued(house: House, gapless: Gapless, number: int):
    """A frame of a socket has no stream to go back to: exit code 1, and it goes on waiting."""
    with house.engine.begin() as tx:
        tx.execute(text("UPDATE dead_letters SET stream = 'socket:large', actor = 'feeds'"))

    assert 1 == gapless("dead", "requeue", str(number)).code
    assert 1 == len(gapless("dead", "list", "--json").document["items"])


def test_drop_gives_the_entry_up_and_keeps_the_row(gapless: Gapless, number: int, redis_client: redis.Redis):
    """It is gone from the dead stream; the row says who said so and why."""
    answer = gapless("dead", "drop", str(number), "--reason", "a test order")
    shown = gapless("dead", "show", str(number), "--json").document

    assert 0 == answer.code
    assert [] == entries(redis_client, "fills.{0}.tracker.dead")
    assert [] == entries(redis_client)
    assert ("dropped", f"{getpass.getuser()}: a test order") == (shown["state"], shown["state_reason"])


def test_a_number_that_is_none_is_a_no(gapless: Gapless):
    """Exit code 1 and one line that says so."""
    answer = gapless("dead", "show", "999")

    assert 1 == answer.code
    assert ["gapless: dead letter 999: there is none"] == answer.err.splitlines()


def test_a_letter_is_found_by_the_entry_that_died(house: House, number: int, redis_client: redis.Redis):
    """Other letters of the same stream are left where they are."""
    notes = {"stream": "fills.{0}", "entry_id": "6-0", "actor": "tracker", "reason": "other", "attempts": "5"}
    redis_client.xadd("fills.{0}.tracker.dead", {"type": "Other", "body": "{}", **notes, "version": "", "at": ""})
    letters.requeue(house.engine, redis_client, number, "mended", "somebody")

    assert ["6-0"] == [x.notes["entry_id"] for x in dead.letters(redis_client, "fills.{0}.tracker.dead")]


# ---------------------------------------------------------------- reconcile and record


@pytest.fixture
def at_the_exchange(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The command talks to the house's exchange instead of Alpaca."""
    monkeypatch.setattr(Wiring, "brokerages", lambda self, budgets: house.exchanges)
    return house


def test_reconcile_compares_and_changes_nothing(at_the_exchange: House, gapless: Gapless):
    """Rows and brokerage agree: 0. The brokerage lost two of three: 1, and the rows still say three."""
    house = at_the_exchange
    house.recommend(qty=3)
    house.trade()
    agreed = gapless("reconcile", "--json")
    house.exchanges[LARGE].held[AAA] = 1
    differs = gapless("reconcile", "--json")

    assert (0, []) == (agreed.code, agreed.document["mismatches"])
    assert 1 == differs.code
    assert [(LARGE, AAA, "quantity", 3, 1)] == [
        tuple(m[key] for key in ("account", "symbol", "kind", "rows_qty", "broker_qty"))
        for m in differs.document["mismatches"]
    ]
    assert [3] == [p["qty"] for p in gapless("positions", "--json").document["items"]]


def test_reconcile_fix_brings_the_rows_to_what_the_brokerage_says(
    at_the_exchange: House, gapless: Gapless, redis_client: redis.Redis
):
    """One adjustment that says so leaves for the tracker."""
    house = at_the_exchange
    house.recommend(qty=3)
    house.trade()
    house.exchanges[LARGE].held[AAA] = 1
    house.now += timedelta(minutes=1)
    answer = gapless("reconcile", "--fix", "--json")
    house.tracker.handle([decode(fields) for fields in entries(redis_client)])

    assert (0, True) == (answer.code, answer.document["fixed"])
    assert [1] == [p["qty"] for p in gapless("positions", "--json").document["items"]]
    assert [] == gapless("reconcile", "--json").document["mismatches"]


def test_an_account_that_cannot_be_read_is_neither_yes_nor_no(at_the_exchange: House, gapless: Gapless):
    """Exit code 3, and the account is named."""
    from brokerage.port import BrokerageUnavailable

    def away() -> Any:
        raise BrokerageUnavailable("503")

    at_the_exchange.exchanges[TINY].account = away  # type: ignore[method-assign]
    answer = gapless("reconcile", "--json")

    assert (3, [TINY]) == (answer.code, answer.document["unread"])


def test_record_dumps_streams_as_a_fixture(gapless: Gapless, redis_client: redis.Redis, tmp_path: Path):
    """What stands on the streams can be read back; the clock of a recorded day is not part of it."""
    redis_client.xadd("recommendations", {"type": "RecommendationIssued", "body": '{"id":"rec-1"}'})
    redis_client.xadd("clock", {"type": "ClockMoved", "body": "{}"})
    answer = gapless("record", "--out", str(tmp_path / "day"), "--json")
    [(stream, fields)] = read_fixture(tmp_path / "day")

    assert (0, 1) == (answer.code, answer.document["entries"])
    assert ("recommendations", {"id": "rec-1"}) == (stream, json.loads(fields[b"body"]))


# ---------------------------------------------------------------- for people


@pytest.mark.parametrize(
    "args",
    [
        ("halt", "large", "--reason", "drill"),
        ("flatten", "large", "--confirm", "large"),
        ("reconcile",),
        ("reconcile", "--fix"),
        ("dead", "show", "1"),
        ("dead", "requeue", "1"),
        ("dead", "drop", "1", "--reason", "drill"),
    ],
)
def test_every_lever_answers_people_in_words(
    at_the_exchange: House, gapless: Gapless, number: int, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    """A table or a line within a hundred columns."""
    monkeypatch.setenv("COLUMNS", "100")
    at_the_exchange.recommend(qty=2)
    at_the_exchange.trade()
    at_the_exchange.exchanges[LARGE].held[AAA] = 1
    answer = gapless(*(str(number) if arg == "1" else arg for arg in args))

    assert answer.code in (0, 1)
    assert answer.out.strip()
    assert [] == [line for line in answer.out.splitlines() if len(line.rstrip()) > 100]
