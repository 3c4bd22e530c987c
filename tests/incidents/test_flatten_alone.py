"""`gapless flatten` while everything but the brokerage is dead, and what the stack makes of it when it is back.

Database and streams are the test's own and are killed with SIGKILL; the brokerage is the local Alpaca over HTTP.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from actors.catch_up import CatchUp, Names
from cli.feeding import Feeding
from cli.main import app
from db import integrity
from db.schema import upgrade
from paper.options import AccountOption, Options
from streams.clients import writing_client
from tests.cli.conftest import Answer
from tests.factories import LARGE
from tests.incidents.at_paper import MARGIN, AtPaper
from tests.paper.days import CALL, LAST_DAY_CALL, STOCK, write_day
from tests.paper.kit import Paper, serving
from tests.servers import Killable

Gapless = Callable[..., Answer]
_ANY_LIMITS = {
    "MAX_POSITIONS": "5",
    "MAX_EXPOSURE_USD": "10000",
    "MAX_DAILY_LOSS_USD": "500",
    "MAX_CONTRACTS_PER_ORDER": "10",
}


def held(paper: Paper, account: str = LARGE) -> list[Any]:
    found: list[Any] = paper.get("/v2/positions", account)
    return found


class Alone:
    """A stack at the local Alpaca whose two servers can be killed and brought back."""

    def __init__(self, house: AtPaper, database: Killable, streams: Killable) -> None:
        self.house, self.paper, self.database, self.streams = house, house.paper, database, streams

    def kill(self) -> None:
        self.house.engine.dispose()
        self.database.kill()
        self.streams.kill()

    def come_back(self) -> None:
        """Start both servers and empty-headed actors, and let feeds catch up as after every connection."""
        self.database.start()
        self.streams.start()
        self.house.start()
        with writing_client(self.streams.url) as client:
            rows = Feeding(self.house.engine, client, self.house.desk, (), lambda: None)
            for name, brokerage in self.house.brokerages.items():
                asked = (partial(rows.pending, name), partial(rows.stored, name))
                look = CatchUp(name, brokerage, *asked, Names(), "test", lambda: datetime.now(UTC))
                self.house.tracker.handle(look.look())
        self.house.publish()

    def rows(self, statement: str) -> list[Any]:
        with self.house.engine.connect() as tx:
            return [tuple(row) for row in tx.execute(text(statement))]

    def assert_clean(self) -> None:
        """Rows equal the brokerage in two readings, and their own history; nothing drifted on the way."""
        now = self.house.now()
        for account in self.house.brokerages:
            for reading in (now, now + timedelta(seconds=20)):
                assert () == self.house.reconciler.reconcile(account, reading)
        with self.house.engine.connect() as tx:
            assert [] == integrity.mismatches(tx)
        assert [] == self.rows("SELECT * FROM drift")
        assert [] == self.rows("SELECT * FROM fills WHERE source = 'adjustment'")


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    """The local Alpaca on the standard day at 14:31."""
    margin = AccountOption("margin", Decimal(1_000_000), shorting=True)
    options = Options(
        data=(write_day(tmp_path / "day"),), speed=0.0, partial_ratio=0.0, accounts=(margin,), rate_limit=10_000
    )
    with serving(options) as running:
        running.to("14:31:00")
        yield running


@pytest.fixture
def gapless(paper: Paper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gapless:
    """Run ``gapless ARGS`` at *paper*; where the servers should be nobody answers."""
    monkeypatch.setenv("GAPLESS_DATABASE_URL", f"postgresql+psycopg2:///gapless?host={tmp_path}")
    monkeypatch.setenv("GAPLESS_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    monkeypatch.setenv("GAPLESS_BROKERAGE__PAPER_URL", paper.said["rest"])
    monkeypatch.setenv("GAPLESS_SERVERS__DATA_DIR", str(tmp_path / "data"))
    for name, value in _ANY_LIMITS.items():
        monkeypatch.setenv(f"GAPLESS_ACCOUNTS__MARGIN__{name}", value)

    def run(*args: str, typed: str = "") -> Answer:
        result = CliRunner().invoke(app, list(args), input=typed)
        code = result.exit_code
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            code = getattr(result.exception, "exit_code", None)  # as main() makes of it
            if code is None:
                raise result.exception
        return Answer(code, result.stdout, result.stderr)

    return run


@pytest.fixture
def alone(
    paper: Paper,
    gapless: Gapless,
    killable_database: Killable,
    killable_redis: Killable,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Alone]:
    """A stack at *paper*, which is what ``gapless`` works on."""
    monkeypatch.setenv("GAPLESS_DATABASE_URL", killable_database.url)
    monkeypatch.setenv("GAPLESS_REDIS_URL", killable_redis.url)
    upgrade(killable_database.url)
    engine = create_engine(killable_database.url)
    house = AtPaper(engine, paper)
    yield Alone(house, killable_database, killable_redis)
    house.close()
    engine.dispose()


def test_with_both_servers_killed_an_account_is_left_and_taken_over(alone: Alone, gapless: Gapless):
    """
    A held contract, an entry of another one that works at the brokerage, a short stock in another account. Both servers
    are killed: flatten leaves each account all the same. When they are back the fills are ours with reason `manual`,
    the entry has ended, and nothing is left to explain.
    """
    house = alone.house
    house.hold("rec-1", CALL, 3)
    late = house.recommend("rec-2", LAST_DAY_CALL, 1)
    alone.paper.quote(LAST_DAY_CALL, "0.30", "0.40")
    house.entries.handle(late)
    alone.paper.submit(MARGIN, symbol=STOCK, side="sell", qty=7)
    house.catch_up()
    alone.kill()

    large = gapless("flatten", LARGE, "--confirm", LARGE, "--json")
    margin = gapless("flatten", MARGIN, "--confirm", MARGIN, "--json")

    assert (0, 0) == (large.code, margin.code)
    assert (True, True) == (large.document["direct"], large.document["flat"])
    assert [(CALL, 3, "filled", 3)] == [
        tuple(c[key] for key in ("symbol", "qty", "status", "filled_qty")) for c in large.document["closed"]
    ]
    assert [(LAST_DAY_CALL, 1)] == [(c["symbol"], c["unfilled_qty"]) for c in large.document["canceled"]]
    assert [(STOCK, "buy", 7)] == [(c["symbol"], c["side"], c["qty"]) for c in margin.document["closed"]]
    assert ([], []) == (held(alone.paper), held(alone.paper, MARGIN))

    alone.come_back()

    assert [(STOCK, 0, "manual", "manual"), (CALL, 0, "manual", "manual")] == alone.rows(
        "SELECT symbol, qty, exit_reason, exit_rule FROM positions ORDER BY symbol"
    )
    assert [("canceled",)] == alone.rows(f"SELECT status FROM orders WHERE symbol = '{LAST_DAY_CALL}'")
    assert [] == alone.rows("SELECT * FROM orders WHERE ended_at IS NULL")
    alone.assert_clean()


def test_a_close_of_ours_that_was_under_way_is_replaced(alone: Alone, gapless: Gapless):
    """The executor's own close hangs at the brokerage, unfilled: it is canceled first, and three are sold once."""
    house = alone.house
    house.hold("rec-1", CALL, 3)
    close = house.trigger(CALL, "0.50")
    alone.paper.control("POST", "/fills", delay_s=600)
    house.exits.handle(close)
    alone.kill()
    alone.paper.control("POST", "/fills", delay_s=0)

    answer = gapless("flatten", LARGE, "--confirm", LARGE, "--json")

    assert (0, []) == (answer.code, held(alone.paper))
    alone.come_back()
    assert [(0, "manual", 3)] == alone.rows(
        "SELECT qty, exit_reason, (SELECT sum(f.qty)::int FROM fills f WHERE f.position_id = p.position_id"
        " AND side = 'sell') FROM positions p"
    )
    alone.assert_clean()


def test_it_is_said_on_screen_and_written_down(paper: Paper, gapless: Gapless, tmp_path: Path):
    """For people: each symbol with what was done, why it went straight; every act a line that only the owner reads."""
    paper.bought(CALL, 3)
    answer = gapless("flatten", LARGE, typed=f"{LARGE}\n")
    file = tmp_path / "data" / "flatten.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]

    assert 0 == answer.code
    assert CALL in answer.out
    assert "sell to close: filled, 3 filled" in answer.out
    assert "the database does not answer" in answer.out
    assert answer.err.index("straight at the brokerage (paper)") < answer.err.index("Type large")
    assert [] == [line for line in answer.out.splitlines() if len(line.rstrip()) > 100]
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert ["flatten", "sending", "sent", "done"] == [line["act"] for line in lines]
    assert {LARGE} == {line["account"] for line in lines}
    assert (CALL, 3) == (lines[1]["symbol"], lines[1]["qty"])


def test_the_wrong_name_does_nothing(paper: Paper, gapless: Gapless):
    """Typed wrong, confirmed wrong, an account that is not configured, no reason: exit code 2, all is held."""
    paper.bought(CALL, 3)

    assert 2 == gapless("flatten", LARGE, typed="tiny\n").code
    assert 2 == gapless("flatten", LARGE, "--confirm", "tiny").code
    assert 2 == gapless("flatten", "nobody", "--confirm", "nobody").code
    assert 2 == gapless("flatten", LARGE, "--confirm", LARGE, "--reason", " ").code
    assert 1 == len(held(paper))


def test_pressing_again_doubles_nothing(paper: Paper, gapless: Gapless):
    """The close is slow to fill: two presses, one order; the exit code says that something is left until it is."""
    paper.bought(CALL, 3)
    paper.control("POST", "/fills", delay_s=600)
    press = ("flatten", LARGE, "--confirm", LARGE, "--within", "1", "--json")
    first, second = gapless(*press), gapless(*press)
    paper.to("14:45:00")
    third = gapless(*press)

    assert (1, 1, 0) == (first.code, second.code, third.code)
    assert [(CALL, 3, "its close is under way")] == [tuple(left.values()) for left in second.document["left"]]
    entries = paper.control("GET", "/journal")[1]["entries"]
    sells = [e for e in entries if e["kind"] == "request" and e["method"] == "POST" and e["body"]["side"] == "sell"]
    assert (1, []) == (len(sells), held(paper))


def test_after_the_close_options_stay_and_it_says_so(paper: Paper, gapless: Gapless):
    """Nothing is sent that could not be traded; exit code 1, and what is left to do."""
    paper.bought(CALL, 3)
    paper.to("21:30:00")

    answer = gapless("flatten", LARGE, "--confirm", LARGE, "--json")

    assert (1, [(CALL, 3)]) == (answer.code, [(left["symbol"], left["qty"]) for left in answer.document["left"]])
    assert answer.document["left"][0]["why"].startswith("options trade only while the market is open")


def test_a_brokerage_that_is_down_too_is_exit_code_3(paper: Paper, gapless: Gapless):
    """It tries for as long as it was told, and says that it does not know."""
    paper.control("POST", "/faults", do="status", status=500, path="/v2", count=1000)

    answer = gapless("flatten", LARGE, "--confirm", LARGE, "--within", "1", "--json")

    assert (3, None) == (answer.code, answer.document["flat"])
    assert "500" in answer.document["trouble"]


@pytest.mark.parametrize("wrong", ["[entries]\nnonsense = 1\n", "this is no toml", None])
def test_a_wrong_configuration_does_not_stand_in_the_way(
    paper: Paper, gapless: Gapless, tmp_path: Path, wrong: str | None, monkeypatch: pytest.MonkeyPatch
):
    """An unknown key, a torn file, no addresses at all: keys and the brokerage's place are enough."""
    paper.bought(CALL, 3)
    monkeypatch.setenv("GAPLESS_BROKERAGE__MODE", "paper")
    before = []
    if wrong is None:
        monkeypatch.delenv("GAPLESS_DATABASE_URL")
        monkeypatch.delenv("GAPLESS_REDIS_URL")
    else:
        (tmp_path / "wrong.toml").write_text(wrong)
        before = ["--config", str(tmp_path / "wrong.toml")]
        monkeypatch.chdir(tmp_path)

    answer = gapless(*before, "flatten", LARGE, "--confirm", LARGE, "--json")

    assert (0, []) == (answer.code, held(paper))
    assert answer.document["because"]
    assert 2 == gapless(*before, "status").code if wrong else True


def test_nothing_is_guessed_about_which_brokerage_it_is(gapless: Gapless, tmp_path: Path):
    """A torn file and an environment that does not say it: exit code 2, nothing was asked of anybody."""
    (tmp_path / "wrong.toml").write_text("this is no toml")

    assert 2 == gapless("--config", str(tmp_path / "wrong.toml"), "flatten", LARGE, "--confirm", LARGE).code
