"""Everything that calls itself a brokerage is called in the same way (R58)."""

# ruff: noqa: N802 - a test is named after its row

from __future__ import annotations

import inspect

import pytest

from brokerage.alpaca_rest import AlpacaBrokerage
from brokerage.port import Brokerage
from tests.incidents.stage import RecordedBrokerage
from tests.simulation.exchange import Exchange

CALLS = {name: call for name, call in inspect.getmembers(Brokerage, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize("made", [AlpacaBrokerage, Exchange, RecordedBrokerage])
@pytest.mark.parametrize("name", CALLS)
def test_R58_every_brokerage_is_called_alike(made: type, name: str):
    """The one behind Alpaca and the ones of the tests have each call of the port, with its parameters in its order."""
    assert list(inspect.signature(CALLS[name]).parameters) == list(inspect.signature(getattr(made, name)).parameters)


def test_the_port_has_calls():
    """The comparison above compares something."""
    assert {"account", "quotes", "contracts", "chain", "snapshots", "submit", "executions"} <= set(CALLS)
