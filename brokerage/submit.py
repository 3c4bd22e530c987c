"""Placing an order so that a doubt never makes two of it, and never loses one.

The client order id is the idempotency key. After any doubt the order is looked up by it, more than once, because an
order may become visible late. Found: it is ours, adopt it. Surely absent: the same id is sent again. Once a doubt has
come up, nothing but the order itself or a clear rejection ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from brokerage.port import (
    Brokerage,
    BrokerageError,
    BrokerOrder,
    DuplicateClientOrderId,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
)

#: How often an order is sent in all.
SENDS: Final = 3
#: The pauses before each look, in seconds: absent means absent at every one of them.
LOOKS_AFTER_S: Final = (0.0, 0.2, 0.5, 1.0)
#: Codes that a duplicate may hide behind if Alpaca words its message anew: worth a look before we believe them.
_MAY_BE_A_DUPLICATE: Final = frozenset({"40010001"})


def place(brokerage: Brokerage, request: OrderRequest, sleep: Callable[[float], None]) -> BrokerOrder:
    """Send *request* and return the order as Alpaca has it; *sleep* takes seconds.

    Raises:
        OrderRejected: there is no such order and there will be none.
        OutcomeUnknown: it may live; keep its reservation and call ``find`` later.
        BrokerageUnavailable, NotAuthorized: it was surely not taken.
    """
    try:
        return brokerage.submit(request)
    except OrderRejected as rejection:
        if not _is_doubtful(rejection):
            raise
        return _after_rejection(brokerage, request, rejection, sleep)
    except OutcomeUnknown:
        return _after_doubt(brokerage, request, sleep)


def find(brokerage: Brokerage, client_order_id: str, sleep: Callable[[float], None]) -> BrokerOrder | None:
    """Return the order with this id, or None when it was absent at every look.

    Raises:
        OutcomeUnknown: a look got no answer and no other look found it.
    """
    unanswered: BrokerageError | None = None
    for pause_s in LOOKS_AFTER_S:
        if pause_s:
            sleep(pause_s)
        try:
            if order := brokerage.order_by_client_id(client_order_id):
                return order
        except BrokerageError as e:
            unanswered = e
    if unanswered:
        raise OutcomeUnknown(f"{client_order_id} could not be looked up: {unanswered}") from unanswered
    return None


def _is_doubtful(rejection: OrderRejected) -> bool:
    return isinstance(rejection, DuplicateClientOrderId) or rejection.code in _MAY_BE_A_DUPLICATE


def _after_rejection(
    brokerage: Brokerage, request: OrderRequest, rejection: OrderRejected, sleep: Callable[[float], None]
) -> BrokerOrder:
    """Adopt the order behind a duplicate; without one, a true duplicate stays a doubt and the rest a rejection."""
    if order := find(brokerage, request.client_order_id, sleep):
        return order
    if isinstance(rejection, DuplicateClientOrderId):
        raise OutcomeUnknown(f"{request.client_order_id} is taken and cannot be found") from rejection
    raise rejection


def _after_doubt(brokerage: Brokerage, request: OrderRequest, sleep: Callable[[float], None]) -> BrokerOrder:
    for _ in range(SENDS - 1):
        if order := find(brokerage, request.client_order_id, sleep):
            return order
        try:
            return brokerage.submit(request)
        except OrderRejected as rejection:
            # The first one may have arrived after the looks and be what stands in the way of the second.
            return _after_rejection(brokerage, request, rejection, sleep)
        except BrokerageError:
            continue
    if order := find(brokerage, request.client_order_id, sleep):
        return order
    raise OutcomeUnknown(f"{request.client_order_id} was sent {SENDS} times without a clear answer")
