"""How alpaca-py is made to keep our promises on HTTP, and how its errors become those of the port.

Source: alpaca-py 0.44.0. Left alone, its clients retry POST on 429 and 504 (a second order when there is no client
order id), wait without any timeout, and read prices through floats. ``prepare`` switches that off for one client.

Errors are told apart by HTTP status and Alpaca's code, which are stable; message texts only refine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as ConnectionLost
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import MaxRetryError, NewConnectionError

from brokerage.port import (
    BrokerageError,
    BrokerageUnavailable,
    DuplicateClientOrderId,
    IntentMismatch,
    NotAuthorized,
    OrderRejected,
    OutcomeUnknown,
    RequestRefused,
)
from brokerage.translate import MISSHAPEN

T = TypeVar("T")

#: "order not found", "position does not exist", "option contract X not found"; a wrong path says the same code.
NOT_FOUND: Final = "40410000"
VALIDATION: Final = "40010001"
UNPROCESSABLE: Final = "42210000"
_NO_SUCH_PATH: Final = "endpoint not found"


#: Told of every request: its URL, the HTTP status or None without an answer, and the seconds that it took.
OnRequest = Callable[[str, int | None, float], None]


class _WithTimeout(HTTPAdapter):
    """Gives every request a timeout (seconds to connect, and between two bytes) and never sends it twice."""

    def __init__(self, timeout_s: float, on_request: OnRequest | None) -> None:
        super().__init__(max_retries=0)
        self._timeout_s, self._on_request = timeout_s, on_request

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        started, status = time.perf_counter(), None
        try:
            response = super().send(request, stream, timeout or self._timeout_s, verify, cert, proxies)
            status = response.status_code
            return response
        finally:
            if self._on_request is not None:
                self._on_request(request.url or "", status, time.perf_counter() - started)


def prepare(client: RESTClient, timeout_s: float, on_request: OnRequest | None = None) -> None:
    """Make *client* send once, wait at most *timeout_s* for each answer, and read numbers as exact Decimals."""
    client._retry = 0
    for scheme in ("http://", "https://"):
        client._session.mount(scheme, _WithTimeout(timeout_s, on_request))
    client._session.hooks["response"].append(_read_decimals)


def _read_decimals(response: Response, **_: Any) -> Response:
    """Replace the answer's ``json``: alpaca-py calls it without arguments, which would parse prices as floats."""
    response.json = partial(response.json, parse_float=Decimal)  # type: ignore[method-assign]
    return response


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer that is not 2xx; *code* is empty when the body was not Alpaca's JSON (*is_json*)."""

    status: int
    code: str
    message: str
    is_json: bool

    @property
    def means_absent(self) -> bool:
        """Alpaca says that there is no such order, position or contract (a gateway's 404 says nothing)."""
        return self.status == 404 and self.code == NOT_FOUND and self.message != _NO_SUCH_PATH

    @property
    def means_keys(self) -> bool:
        """The keys are wrong, or do not permit this: the data API sends 403 without a code, trading a 401."""
        return self.status == 401 or (self.status == 403 and self.is_json and not self.code.startswith("403"))

    @property
    def means_later(self) -> bool:
        return self.status == 429 or not 400 <= self.status < 500 or not self.is_json


def read_refusal(error: APIError) -> Refusal:
    """Return what *error* says; its own ``code`` and ``message`` fail on a gateway's HTML."""
    text = str(error)
    status = int(error.status_code or 0)
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Refusal(status, "", text[:200], is_json=False)
    return Refusal(status, str(body.get("code", "")), str(body.get("message", "")), is_json=True)


def ask(send: Callable[[], Any], translate: Callable[[Any], T]) -> T | None:
    """Return the translated answer to a question, or None where Alpaca says that there is none.

    Raises:
        BrokerageUnavailable, NotAuthorized, RequestRefused: see the port.
    """
    try:
        answer = send()
    except APIError as e:
        refusal = read_refusal(e)
        if refusal.means_absent:
            return None
        raise _question_error(refusal) from e
    except RequestException as e:
        raise BrokerageUnavailable(f"no answer: {e}") from e
    try:
        return translate(answer)
    except MISSHAPEN as e:
        raise BrokerageUnavailable(f"misshapen answer: {e!r}") from e


def _question_error(refusal: Refusal) -> BrokerageError:
    said = f"HTTP {refusal.status} {refusal.code}: {refusal.message}"
    if refusal.means_keys:
        return NotAuthorized(said)
    if refusal.means_later:
        return BrokerageUnavailable(said)
    return RequestRefused(refusal.status, refusal.code, refusal.message)


def send_order(send: Callable[[], Any], translate: Callable[[Any], T]) -> T:
    """Send an order once and return the translated reply.

    Raises:
        OrderRejected, OutcomeUnknown, BrokerageUnavailable, NotAuthorized: see ``Brokerage.submit``.
    """
    try:
        reply = send()
    except APIError as e:
        raise _order_error(read_refusal(e)) from e
    except RequestException as e:
        raise _lost(e) from e
    try:
        return translate(reply)
    except MISSHAPEN as e:
        raise OutcomeUnknown(f"the order was taken, its reply is misshapen: {e!r}") from e


def _lost(error: RequestException) -> BrokerageUnavailable:
    """Only an order for which no connection came about surely did not arrive."""
    never_connected = isinstance(error, ConnectTimeout) or (
        isinstance(error, ConnectionLost)
        and isinstance(error.args[0], MaxRetryError)
        and isinstance(error.args[0].reason, NewConnectionError)
    )
    return BrokerageUnavailable(f"not sent: {error}") if never_connected else OutcomeUnknown(f"no reply: {error}")


def _order_error(refusal: Refusal) -> BrokerageError:
    said = f"HTTP {refusal.status} {refusal.code}: {refusal.message}"
    if refusal.means_keys:
        return NotAuthorized(said)
    if refusal.status == 429:
        return BrokerageUnavailable(said)
    if refusal.means_later or refusal.status == 408:
        return OutcomeUnknown(said)
    return _rejection(refusal)(refusal.status, refusal.code, refusal.message)


def _rejection(refusal: Refusal) -> type[OrderRejected]:
    if refusal.code == UNPROCESSABLE and "intent mismatch" in refusal.message:
        return IntentMismatch
    if refusal.code == VALIDATION and "client_order_id must be unique" in refusal.message:
        return DuplicateClientOrderId
    return OrderRejected
