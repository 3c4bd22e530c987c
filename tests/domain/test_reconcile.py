"""Comparing the brokerage's book with our rows: what differs, and when a machine must not mend it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reconcile import Difference, differences, needs_a_person

books = st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(-5, 5).filter(bool), max_size=8)


def test_equal_books_have_no_difference():
    """Nothing to do."""
    assert () == differences({"A": 3, "B": -1}, {"A": 3, "B": -1}, {})


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "shrinks"),
    [
        (0, 5, "broker_only", False),
        (0, -5, "broker_only", False),
        (5, 0, "rows_only", True),
        (-5, 0, "rows_only", True),
        (5, 3, "quantity", True),
        (5, 8, "quantity", False),
        (-5, -3, "quantity", True),
        (-5, -8, "quantity", False),
        (5, -5, "side", True),
        (5, -50, "side", True),
        (-1, 1, "side", True),
    ],
)
def test_a_difference_has_a_kind(ours: int, theirs: int, kind: str, shrinks: bool):
    """Unknown to us, gone, another quantity, or the other side: and whether mending it takes something away."""
    rows, broker = ({"X": qty} if qty else {} for qty in (ours, theirs))
    [found] = differences(rows, broker, {"X": Decimal("7.20")})

    assert Difference("X", kind, ours, theirs, Decimal("7.20")) == found
    assert shrinks == found.shrinks


def test_a_symbol_that_the_brokerage_does_not_hold_has_no_price():
    """None is invented for it."""
    [found] = differences({"X": 5}, {}, {})

    assert found.price is None


def test_a_row_of_nothing_is_no_row():
    """Zero held and not held are the same."""
    assert () == differences({"X": 0}, {}, {})


@given(rows=books, broker=books)
def test_mending_every_difference_makes_the_books_equal(rows: dict[str, int], broker: dict[str, int]):
    """What is listed is all that differs, each symbol once and in order."""
    found = differences(rows, broker, {})
    mended = rows | {d.symbol: d.broker_qty for d in found}

    assert broker == {symbol: qty for symbol, qty in mended.items() if qty}
    assert sorted({d.symbol for d in found}) == [d.symbol for d in found]


def gone(count: int) -> tuple[Difference, ...]:
    return differences({f"X{n}": 1 for n in range(count)}, {}, {})


@pytest.mark.parametrize(
    ("vanished", "held", "person"),
    [
        (22, 22, True),
        (4, 4, True),
        (4, 19, True),
        (4, 20, False),
        (4, 21, False),
        (5, 24, True),
        (3, 3, False),
        (1, 1, False),
        (0, 0, False),
    ],
)
def test_a_mass_of_vanished_positions_needs_a_person(vanished: int, held: int, person: bool):
    """More than three and more than a fifth: 22 of 22 were once closed because of one bad answer (L17)."""
    assert person == needs_a_person(gone(vanished), held)


def test_new_positions_never_need_a_person():
    """A hundred that we did not know take nothing away: they are adopted."""
    found = differences({}, {f"X{n}": 1 for n in range(100)}, {})

    assert not needs_a_person(found, 0)


def test_shrunk_and_turned_positions_count_like_vanished_ones():
    """Two smaller and two on the other side are four."""
    found = differences({"A": 5, "B": 5, "C": 5, "D": 5}, {"A": 1, "B": 4, "C": -5, "D": -50}, {})

    assert needs_a_person(found, 4)
