"""Servers that are away for a moment."""

from __future__ import annotations

import pytest
import redis
from sqlalchemy.exc import OperationalError

from cli.patience import Patience

GONE = redis.ConnectionError("gone")


class Server:
    """Fails with each of *errors* in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answered"


def nobody_died() -> None:
    """Every process is there."""


def test_a_call_is_made_again_until_the_server_is_back() -> None:
    """Either server may be the one that restarts."""
    server = Server(GONE, OperationalError("SELECT 1", {}, Exception("starting up")), redis.TimeoutError("slow"))
    assert "answered" == Patience(60, nobody_died)(server)


def test_a_server_that_stays_away_is_told() -> None:
    with pytest.raises(redis.ConnectionError, match="gone"):
        Patience(0, nobody_died)(Server(GONE, GONE, GONE))


def test_a_server_that_nobody_will_bring_back_is_told_at_once() -> None:
    """The check of a run knows its own children."""

    def dead() -> None:
        raise RuntimeError("valkey ended with 137")

    with pytest.raises(RuntimeError, match="valkey ended"):
        Patience(60, dead)(Server(GONE))


def test_another_error_is_nobodys_absence() -> None:
    with pytest.raises(ZeroDivisionError):
        Patience(60, nobody_died)(lambda: 1 / 0)
