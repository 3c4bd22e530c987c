"""Failures sorted by what to do about them, in one place."""

from __future__ import annotations

from typing import Final

import redis
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from actors.gate import UnknownAccounts
from brokerage.port import BrokerageUnavailable
from db.decisions import AnotherBody
from db.leases import LeaseLost
from streams.codec import Undecodable
from streams.delivery import Failure

#: Delivering again cannot help.
HOPELESS: Final = (Undecodable, AnotherBody, UnknownAccounts)
#: Somebody else is down: wait and try the same entry for ever.
TRANSIENT: Final = (
    BrokerageUnavailable,
    InterfaceError,
    LeaseLost,
    OperationalError,
    redis.ConnectionError,
    redis.TimeoutError,
)


def classify(error: Exception) -> Failure:
    """Sort a failure by what to do about it."""
    if isinstance(error, HOPELESS):
        return Failure.HOPELESS
    if isinstance(error, TRANSIENT) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return Failure.TRANSIENT
    return Failure.UNEXPECTED
