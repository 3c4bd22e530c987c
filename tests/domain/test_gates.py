"""The gates: what they let through, what they refuse and say, and that none of them fails open."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import gates
from domain.account import Book, Commitment, Limits
from domain.checks import Check, Code, wall_refused
from domain.events import AnyFact, Quote
from domain.exits import ExitPolicy, Moment, Watched
from domain.gates import GATES, SWITCHABLE, EntryRules, Gate, Proposal, ask_of, review
from domain.instrument import Contract, Kind, parse_symbol
from domain.known import Unknown
from domain.orders import Order
from domain.positions import Fill, Holding
from domain.sells import SellProposal
from domain.sizing import Sizing, size
from tests.domain import configured_cases, gate_cases
from tests.domain.configured_cases import a_strict_proposal, strict_rules
from tests.domain.gate_cases import Case, a_commitment, known
from tests.factories import (
    NOON,
    PUT,
    SESSION,
    a_book,
    a_proposal,
    a_quote,
    a_recommendation,
    some_limits,
    some_means,
    some_rules,
)

NAMES = [gate.__name__ for gate in GATES]
CASES = (*gate_cases.CASES, *configured_cases.CASES)
#: With every limit set; without, only the first of the two tables reads anything.
READS = gate_cases.READS | configured_cases.READS


def verdict(gate: str, p: Proposal) -> Check:
    """What *gate* says in a review, where one that raises refuses."""
    [check] = [gates._run(one, p) for one in gates.GATES if one.__name__ == gate]
    return check


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_gate_passes_up_to_its_limit_and_not_beyond(case: Case):
    """Each gate's verdict below, at and beyond its limit, and what its check shows."""
    check = verdict(case.gate, case.proposal)

    assert case.passes == check.passed
    assert case.said in check.observed


@pytest.mark.parametrize("case", [case for case in CASES if not case.passes], ids=str)
def test_a_refusal_names_what_was_observed_and_what_is_allowed(case: Case):
    """A refusal can be understood without the code: gate, observed, allowed and source are all there."""
    check = verdict(case.gate, case.proposal)

    assert f"{case.gate}: observed={check.observed} allowed={check.allowed}" == str(check)
    assert all((check.observed, check.allowed, check.source))


def test_the_happy_proposal_passes_every_gate():
    """Nothing stands against it: the refusals below are each about one thing."""
    checks = review(a_proposal())

    assert NAMES == [check.gate for check in checks]
    assert [] == [str(check) for check in checks if not check.passed]
    assert [] == [str(check) for check in review(a_strict_proposal()) if not check.passed]


@pytest.mark.parametrize("name", NAMES)
def test_every_gate_stands_in_the_table_with_both_verdicts(name: str):
    """The table shows each gate passing and refusing."""
    assert {True, False} == {case.passes for case in CASES if case.gate == name}


def test_sixth_position_is_refused():
    """
    Five commitments and a limit of five: the sixth recommendation is refused and the
    refusal shows both numbers. (Incident 2026-02-03: eleven were opened.)
    """
    book = a_book(commitments=tuple(a_commitment(symbol=f"X{n}", usd=Decimal(1)) for n in range(5)))
    [refusal] = [check for check in review(a_proposal(book=book)) if not check.passed]

    assert "position_count_is_within_limit: observed=6 allowed=<= 5" == str(refusal)


def test_the_hours_of_entries_are_shown():
    """From the open to the margin before the close: earlier on an option's last trading day."""
    any_day, last_day = (
        verdict("market_is_open_for_entries", a_proposal(last_session=known(last))).allowed for last in (None, SESSION)
    )

    assert "2026-02-03T14:30:00Z to 2026-02-03T20:45:00Z" == any_day
    assert "2026-02-03T14:30:00Z to 2026-02-03T19:30:00Z" == last_day


def test_a_check_tells_source_and_age():
    """What was seen at noon is ten seconds old ten seconds later, and says who said it."""
    check = verdict("buying_power_is_enough", a_proposal(now=NOON + timedelta(seconds=10)))

    assert ("account", Decimal(10)) == (check.source, check.age_s)


# ---------------------------------------------------------------- nothing is forgotten


def test_every_gate_is_in_gates():
    """A gate that is written but not listed would guard nothing."""
    modules = [import_module(found.name) for found in iter_modules(gates.__path__, f"{gates.__name__}.")]
    written = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and list(get_type_hints(function).values()) == [Proposal, Check]
    }

    assert written == set(GATES)
    assert len(set(GATES)) == len(GATES)


SAFETY_TYPES = (
    *get_args(AnyFact),
    Quote,
    Book,
    Limits,
    Commitment,
    Proposal,
    SellProposal,
    EntryRules,
    ExitPolicy,
    Watched,
    Moment,
    Contract,
    Order,
    Fill,
    Holding,
    Sizing,
    Check,
)


@pytest.mark.parametrize("cls", SAFETY_TYPES, ids=lambda cls: cls.__name__)
def test_no_field_of_a_safety_type_has_a_default(cls: type[Any]):
    """A default is how a gate fails open: whoever forgets a field must be told."""
    assert is_dataclass(cls)
    assert [] == [f.name for f in fields(cls) if f.default is not MISSING or f.default_factory is not MISSING]


# ---------------------------------------------------------------- unknown is not zero

INPUTS = [f.name for f in fields(Proposal) if Unknown in get_args(get_type_hints(Proposal)[f.name])]
NOBODY = Unknown("nobody answered", "the test")


def without(happy: Proposal, name: str, value: object = NOBODY) -> Proposal:
    """*happy*, in which *name* is *value*; the day's P&L is a field of the book."""
    changed: dict[str, Any] = {name: value}
    if name == "daily_pnl_usd":
        changed = {"book": a_book(daily_pnl_usd=value)}
    return replace(happy, **changed)


@pytest.mark.parametrize("name", [*INPUTS, "daily_pnl_usd"])
@pytest.mark.parametrize(("happy", "reads"), [(a_proposal(), gate_cases.READS), (a_strict_proposal(), READS)])
def test_an_unknown_input_is_refused_by_exactly_the_gates_that_read_it(
    happy: Proposal, reads: Mapping[str, frozenset[str]], name: str
):
    """
    What a gate cannot see, it cannot pass; its check says why it is unknown and who could not say.
    A limit that is not set asks for nothing.
    """
    refused = {check.gate: check for check in review(without(happy, name)) if not check.passed}

    assert {gate for gate, read in reads.items() if name in read} == set(refused)
    assert {("unknown: nobody answered", "the test", Code.UNKNOWN)} == {
        (c.observed, c.source, c.code) for c in refused.values()
    } or not refused


class Trap:
    """Whoever looks at it, falls."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} is broken")


#: A selection is looked at only where no symbol is named: see test_gates_of_the_market.
ALL_INPUTS = [f.name for f in fields(Proposal) if f.name != "selection"]


@pytest.mark.parametrize("name", ALL_INPUTS)
def test_a_gate_that_raises_refuses(name: str):
    """A broken input makes no gate pass that looks at it, and the refusal says what was raised."""
    happy, broken = review(a_strict_proposal()), review(without(a_strict_proposal(), name, Trap()))
    looked = [check for before, check in zip(happy, broken, strict=True) if check != before]

    assert looked
    assert [] == [check.gate for check in looked if check.passed]
    assert {True} == {"unknown: the gate raised" in check.observed for check in looked}
    assert {Code.BROKEN} == {check.code for check in looked}


#: What the properties of a proposal are made of, where a symbol is named.
DERIVED: dict[str, set[str]] = {"ask": {"quote"}, "cost_usd": {"quote", "sizing", "instrument"}, "symbol": set()}


class Spied:
    """Hands on the inputs of *p* and remembers which were looked at."""

    def __init__(self, p: Proposal) -> None:
        self._p, self.seen = p, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.seen |= DERIVED.get(name, {name})
        return getattr(self._p, name)


def looked_at(gate: Gate) -> set[str]:
    spied: Any = Spied(a_strict_proposal())
    assert gate(spied).passed
    return spied.seen - {"rec", "now", "selection"}


BAD: dict[str, Callable[[str], object]] = {
    "missing": lambda name: NOBODY if name in INPUTS else None,
    "malformed": lambda name: known("garbage") if name in INPUTS else "garbage",
    "raising": lambda name: Trap(),
}


@pytest.mark.parametrize(
    ("gate", "name", "bad"),
    [(gate, name, bad) for gate in GATES for name in sorted(looked_at(gate)) for bad in BAD],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_L27_no_gate_passes_on_an_input_that_is_missing_malformed_or_raising(  # noqa: N802
    gate: Gate, name: str, bad: str
):
    """Every gate, every input that it looks at, every way in which the input can be bad (L27)."""
    check = verdict(gate.__name__, without(a_strict_proposal(), name, BAD[bad](name)))

    assert not check.passed
    assert check.code is not None


@pytest.mark.parametrize("gate", GATES, ids=NAMES)
def test_every_gate_looks_at_something(gate: Gate):
    """One that decides without looking decides nothing."""
    spied: Any = Spied(a_strict_proposal())
    gate(spied)

    assert spied.seen


@pytest.mark.parametrize(
    "field", [f.name for f in fields(Book) if f.name not in ("account", "read_at", "state_reason")]
)
def test_a_broken_book_is_refused(field: str):
    """Every part of the book that decides anything is one that an entry needs."""
    broken = replace(a_book(), **{field: Trap()})

    assert False in {check.passed for check in review(a_proposal(book=broken))}


#: Whatever stands there that is not false is true, and asks for more.
SWITCHES = {"refuse_opposite_direction", "require_tick_grid", "require_class_ticks", "refuse_half_days"}
#: Read before the gates: what they make of a proposal is what the gates see.
BEFORE = {"selection", "risk", "regime"}


@pytest.mark.parametrize("field", [f.name for f in fields(EntryRules) if f.name not in SWITCHES | BEFORE])
def test_broken_rules_are_refused(field: str):
    """A rule that cannot be read is no permission."""
    last = known(SESSION) if field == "no_entry_before_last_close" else known(None)
    p = a_strict_proposal(rules=replace(strict_rules(), **{field: Trap()}), last_session=last)

    assert False in {check.passed for check in review(p)}


HISTORIC = (
    *("max_trades_per_day", "max_trades_per_symbol", "max_trades_per_underlying"),
    *("symbol_cooldown", "underlying_cooldown", "max_losses_in_a_row"),
)


@pytest.mark.parametrize("field", HISTORIC)
def test_history_is_asked_for_as_soon_as_one_limit_looks_at_it(field: str):
    """And not before: nobody waits for an answer that no gate reads."""
    limit = getattr(strict_rules(), field)
    unasked = a_proposal(history=NOBODY, rules=some_rules())

    assert some_rules(**{field: limit}).ask_history
    assert not some_rules().ask_history
    assert [] == [check.gate for check in review(unasked) if not check.passed]
    assert 1 == sum(not check.passed for check in review(replace(unasked, rules=some_rules(**{field: limit}))))


# ---------------------------------------------------------------- on or off


def refused_case(gate: str) -> Case:
    return next(case for case in CASES if case.gate == gate and not case.passes)


@pytest.mark.parametrize("name", NAMES)
def test_only_a_gate_that_may_be_off_can_be_off(name: str):
    """What keeps an account safe looks whatever the rules say; what is off says so in the decision."""
    case = refused_case(name)
    p = replace(case.proposal, rules=replace(case.proposal.rules, off=frozenset({name})))
    check = verdict(name, p)

    assert (name in SWITCHABLE) == check.passed
    assert check.passed == (("not looked at", "switched off") == (check.observed, check.allowed))


def test_the_gates_that_may_be_off_exist():
    """A name that is no gate would switch off nothing."""
    assert SWITCHABLE <= set(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        *("account_is_active", "stack_is_alive", "action_is_permitted", "strategy_is_known", "type_matches_symbol"),
        *("position_count_is_within_limit", "exposure_is_within_limit", "buying_power_is_enough", "symbol_is_not_held"),
        *("daily_loss_is_within_limit", "contract_is_tradable", "quote_is_fresh", "market_is_open_for_entries"),
    ],
)
def test_what_keeps_an_account_safe_is_never_off(name: str):
    """Named one by one: nobody makes them switchable by the way."""
    assert name not in SWITCHABLE


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_verdict_has_a_code_exactly_when_it_refuses(case: Case):
    """Gate and code make a closed pair: what can be counted without reading the text."""
    check = verdict(case.gate, case.proposal)

    assert check.passed == (check.code is None)
    assert check.passed or check.code in set(Code)
    assert ("raised" in check.observed) == (check.code is Code.BROKEN)


# ---------------------------------------------------------------- the table notices a gate that is gone


def always(gate: Gate) -> Gate:
    """*gate*, asleep: it lets everything through."""

    def asleep(p: Proposal) -> Check:
        return Check(gate=gate.__name__, passed=True, code=None, observed="", allowed="", source="", age_s=None)

    asleep.__name__ = gate.__name__
    return asleep


def never(gate: Gate) -> Gate:
    def stubborn(p: Proposal) -> Check:
        return replace(always(gate)(p), passed=False, code=Code.FAILED)

    stubborn.__name__ = gate.__name__
    return stubborn


def failing_cases() -> list[str]:
    return [str(case) for case in CASES if verdict(case.gate, case.proposal).passed != case.passes]


@pytest.mark.parametrize("change", [always, never])
@pytest.mark.parametrize("position", range(len(GATES)), ids=NAMES)
def test_the_table_fails_when_a_gate_is_asleep_or_stubborn(
    position: int, change: Callable[[Gate], Gate], monkeypatch: pytest.MonkeyPatch
):
    """Put any gate to sleep, or let it refuse everything: at least one case of the table fails, and only its own."""
    changed = [change(gate) if number == position else gate for number, gate in enumerate(GATES)]
    monkeypatch.setattr(gates, "GATES", tuple(changed))
    failing = failing_cases()

    assert failing
    assert {NAMES[position]} == {case.partition(":")[0] for case in failing}


def test_the_table_holds_as_it_is():
    """The counterpart of the mutations: without one, no case fails."""
    assert [] == failing_cases()


# ---------------------------------------------------------------- approved means within the limits


def dollars(least: str, most: str) -> st.SearchStrategy[Decimal]:
    """Whole cents (quicker than st.decimals)."""
    return st.integers(int(Decimal(least) * 100), int(Decimal(most) * 100)).map(lambda cents: Decimal(cents) / 100)


sides = st.none() | dollars("-0.05", "20")
wild_quotes = st.builds(lambda bid, ask: known(replace(a_quote(), bid=bid, ask=ask)), sides, sides)
sound_quotes = dollars("0.50", "9").map(lambda bid: known(a_quote(bid=str(bid), ask=str(bid + Decimal("0.10")))))
symbols = st.sampled_from([PUT, "MSFT"])
recs = st.builds(lambda symbol, qty: a_recommendation(symbol=symbol, qty=qty), symbols, st.integers(1, 20)) | st.builds(
    lambda symbol, usd: a_recommendation(symbol=symbol, qty=None, notional_usd=usd), symbols, dollars("0.01", "9000")
)


@st.composite
def proposals(draw: st.DrawFn) -> Proposal:
    """A proposal as the gate actor makes it, sized by its own quote and cap; every second one is plausible."""
    plausible = draw(st.booleans())
    least = "5000" if plausible else "0"
    limits = some_limits(
        max_positions=draw(st.integers(2 if plausible else 0, 5)),
        max_exposure_usd=draw(dollars(least, "9000")),
        max_contracts_per_order=draw(st.integers(1, 20)),
    )
    bound = st.builds(a_commitment, symbol=st.sampled_from(["X", "Y", PUT]), usd=dollars("0", "3000"))
    book = a_book(limits=limits, commitments=tuple(draw(st.lists(bound, max_size=2 if plausible else 5))))
    rec = draw(recs)
    quote = draw(sound_quotes if plausible else st.just(NOBODY) | wild_quotes)
    power = draw(dollars(least, "9000").map(known) | (st.nothing() if plausible else st.just(NOBODY)))
    instrument = parse_symbol(str(rec.symbol))
    means = some_means(max_contracts=limits.max_contracts_per_order)
    sizing = size(rec, instrument.multiplier, ask_of(quote), means)
    return a_proposal(rec=rec, book=book, quote=quote, instrument=instrument, sizing=sizing, buying_power_usd=power)


@settings(max_examples=100)
@given(p=proposals())
def test_an_approved_proposal_never_exceeds_a_limit(p: Proposal):
    """Whatever the book, the limits and the quote: after an approval count, exposure, cap and cash still hold."""
    if not all(check.passed for check in review(p)):
        return
    assert isinstance(p.sizing, Sizing)
    assert not isinstance(p.quote, Unknown)
    assert not isinstance(p.instrument, Unknown)
    assert not isinstance(p.buying_power_usd, Unknown)
    assert p.quote.value.ask is not None
    cost = p.sizing.qty * p.quote.value.ask * p.instrument.multiplier

    assert cost > 0
    assert len(p.book.commitments) + 1 <= p.book.limits.max_positions
    assert sum(c.usd for c in p.book.commitments) + cost <= p.book.limits.max_exposure_usd
    assert cost <= p.buying_power_usd.value
    assert p.rec.instrument is Kind.STOCK or p.sizing.qty <= p.book.limits.max_contracts_per_order
    assert PUT not in {c.symbol for c in p.book.commitments} or p.rec.symbol != PUT


def test_the_property_above_sees_approvals():
    """Among the proposals of the property are some that pass: it is not true for want of approvals."""
    approved = 0

    @settings(max_examples=100, database=None, derandomize=True)
    @given(p=proposals())
    def count(p: Proposal) -> None:
        nonlocal approved
        approved += all(check.passed for check in review(p))

    count()
    assert approved >= 10


# ---------------------------------------------------------------- a row of the decision


def test_the_wall_speaks_in_the_decision():
    """What the database refused is one more failed check, with the database's own words."""
    assert "database_wall: observed=over its limits allowed=within the limits" == str(wall_refused("over its limits"))


def every_check() -> Iterator[Check]:
    for case in CASES:
        yield from review(case.proposal)


def test_every_check_can_be_recorded():
    """Text is text, and an age is a decimal of milliseconds: each check fits its row in the decision."""
    for check in every_check():
        assert {str} == {type(text) for text in (check.gate, check.observed, check.allowed, check.source)}
        assert check.age_s is None or check.age_s == round(check.age_s, 3)
