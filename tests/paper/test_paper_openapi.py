"""The description at /openapi.json: complete, and true under requests that are drawn from it."""

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from paper.openapi import OPERATIONS
from tests.paper.days import CALL, PUT, STOCK

KEYS = {"APCA-API-KEY-ID": "large", "APCA-API-SECRET-KEY": "paper"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: Endless unless their range ends.
STREAMS = ("/v2/events/trades", "/v2beta1/events/activities")


@pytest.fixture
def lively(a_paper):
    """A server with orders and positions to be found, and no rate limit in the way."""
    paper = a_paper(rate_limit=1_000_000)
    paper.to("14:31:00")
    paper.bought(CALL, 3)
    paper.bought(PUT, 1)
    paper.submit(symbol=CALL, side="sell", type="limit", limit_price="9", client_order_id="mine")
    return paper


def test_every_route_is_described(paper):
    """Whatever the server answers on is in the description, readable without keys, under a name of its own."""
    described = requests.get(paper.said["rest"] + "/openapi.json", timeout=5).json()
    operations = [(m, p) for p, methods in described["paths"].items() for m in methods]
    named = [described["paths"][path][method]["operationId"] for method, path in operations]

    assert "3.1.0" == described["openapi"]
    assert len(named) == len(set(named))
    assert {("post", "/v2/orders"), ("patch", "/v2/orders/{id}"), ("get", "/v2/events/trades")} <= set(operations)
    assert "/stream" not in described["paths"]


def test_every_detail_belongs_to_a_route(paper):
    """The table describes nothing that is not there."""
    described = requests.get(paper.said["rest"] + "/openapi.json", timeout=5).json()["paths"]
    there = {(method.upper(), path) for path, methods in described.items() for method in methods}

    assert set() == set(OPERATIONS) - there


def drawn(paper, cases, *, both):
    """Send so many requests drawn from the description; return their statuses.

    Good ones and bad ones, of *both* kinds to every operation or of each to every other one.
    """
    url = paper.said["rest"]
    schema = openapi.from_url(url + "/openapi.json", config=SchemathesisConfig.discover())
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [operation for operation in operations if operation.path not in STREAMS]
    session, sent = requests.Session(), []
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    for turn, operation in enumerate(operations):
        for mode in modes if both else modes[turn % 2 :][:1]:

            @settings(
                max_examples=max(1, cases // ((1 + both) * len(operations))),
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def probe(case):
                _point_at_something(case, len(sent))
                response = case.call(base_url=url, headers=KEYS, session=session, timeout=10)
                sent.append(response.status_code)
                case.validate_response(response, checks=CHECKS)

            probe()
    return sent


def _point_at_something(case, n):
    """Let some of the good requests name what exists."""
    real = {"symbol": (CALL, PUT, STOCK), "symbols": (CALL, STOCK), "underlying": (STOCK,), "timeframe": ("1Min",)}
    if n % 2:
        return
    for place in (case.path_parameters, case.query, case.body if isinstance(case.body, dict) else None):
        for name, values in real.items():
            if place and name in place:
                place[name] = values[n // 2 % len(values)]


def test_two_hundred_drawn_requests_are_answered_as_described(lively):
    """No 5xx, no status, type or body that the description lacks."""
    sent = drawn(lively, 200, both=False)

    assert 100 <= len(sent)
    assert {200, 422} <= set(sent)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_thousand_drawn_requests_are_answered_as_described(lively):
    """The same, ten times as many."""
    assert 2000 <= len(drawn(lively, 3500, both=True))
