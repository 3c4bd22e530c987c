"""Identifiers: the same cause, the same id; another cause, another id."""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.ids import (
    AccountName,
    OrderId,
    PositionId,
    RecommendationId,
    client_order_id,
    closing_order_id,
    derived,
    entry_order_id,
    external_order_id,
    fact_id,
    fill_id,
    position_id,
)
from tests.factories import LARGE, TINY

REC = RecommendationId("rec-1")
KNOWN = [
    "54aace69-aa8c-5cc9-8761-2bdd4cbcdd61",
    "6e0c1730-a5bc-5e19-afef-aab48eb4b19c",
    "8b4b18cf-81a2-56dc-9959-723c4ed98a30",
    "79d5b74a-5c8a-56ae-8c70-5a9737ff82da",
    "91a2f7ad-fded-5de3-add0-1303304e019b",
    "d48744ab-2562-5bf7-8669-fb35b25eab43",
    "large-54aace69aa8c5cc987612bdd4cbcdd61",
]


def test_one_recommendation_has_one_order_an_account():
    """The same recommendation twice is the same order; in another account it is another."""
    assert entry_order_id(REC, LARGE) == entry_order_id(REC, LARGE)
    assert entry_order_id(REC, LARGE) != entry_order_id(REC, TINY)
    assert entry_order_id(REC, LARGE) != entry_order_id(RecommendationId("rec-2"), LARGE)


def test_ids_do_not_change_between_versions():
    """They are stored at the brokerage: a new version that computed them otherwise would order everything again."""
    order = entry_order_id(REC, LARGE)

    assert KNOWN == [
        str(order),
        str(position_id(order)),
        str(closing_order_id(position_id(order), 1)),
        str(external_order_id(LARGE, "broker-1")),
        str(fill_id(LARGE, "broker-1", 3)),
        fact_id("approved", order),
        client_order_id(LARGE, order),
    ]


def test_another_process_computes_the_same():
    """Nothing in an id depends on the process: neither a hash seed nor a clock."""
    code = "from domain.ids import *; print(entry_order_id('rec-1', 'large'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert f"{entry_order_id(REC, LARGE)}\n" == said


def test_every_try_to_close_has_its_own_id():
    """The second try is another order: the first one's id is spent at the brokerage."""
    position = position_id(entry_order_id(REC, LARGE))
    tries = [closing_order_id(position, attempt) for attempt in range(1, 50)]

    assert len(tries) == len(set(tries))


def test_an_execution_is_known_by_what_is_filled_after_it():
    """Whether the socket or REST told it; each partial fill is another."""
    assert fill_id(LARGE, "b", 3) == fill_id(LARGE, "b", 3)
    assert len({fill_id(LARGE, "b", 3), fill_id(LARGE, "b", 4), fill_id(TINY, "b", 3), fill_id(LARGE, "c", 3)}) == 4


def test_kinds_of_ids_never_meet():
    """An entry, a close, a position and a foreign order made of the same words are four things."""
    word = UUID(int=7)
    made = {
        entry_order_id(RecommendationId(str(word)), AccountName(str(word))),
        external_order_id(AccountName(str(word)), str(word)),
        position_id(OrderId(word)),
        closing_order_id(PositionId(word), 1),
        fill_id(AccountName(str(word)), str(word), 1),
    }

    assert 5 == len(made)


@given(account=st.text("abcxyz0189_-", min_size=1, max_size=40), number=st.uuids())
def test_a_client_order_id_is_short_and_tells_its_account(account: str, number: UUID):
    """At most 128 characters, begins with the account, ends with the order."""
    key = client_order_id(AccountName(account), OrderId(number))

    assert len(key) <= 128
    assert f"{account}-{number.hex}" == key


def test_a_long_account_name_is_cut():
    """The order's own part is never cut: it is what makes the key unique."""
    key = client_order_id(AccountName("x" * 500), OrderId(UUID(int=1)))

    assert "x" * 40 + "-" + UUID(int=1).hex == key


parts = st.lists(
    st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=4
)


@given(one=parts, other=parts)
def test_parts_are_kept_apart(one: list[str], other: list[str]):
    """("ab", "c") is not ("a", "bc")."""
    assert (one == other) == (derived(*one) == derived(*other))
