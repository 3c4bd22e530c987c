"""Faults of the HTTP side, ordered on the control port: which request is hit, when, and by what.

A fault matches requests and is used up after *count* of them. To add a kind of fault, add its name to `DEEDS` and
its effect in `gate`.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from paper.numbers import number

DEEDS = ("hang", "status", "reset")
MOMENTS = ("before", "after")
_GATEWAY = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


class BadFault(Exception):
    """Raised when a fault that was ordered makes no sense."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One order of trouble.

    *path* is a prefix, or an expression for the whole path. *when* "before": the request is never carried out;
    "after": it is, and then the answer goes wrong. *do*: hang (no answer, and a reset after *seconds* of wall time),
    status (*status* is answered), reset.
    """

    method: str | None
    path: str | None
    body: dict[str, Any]
    account: str | None
    do: str
    when: str
    status: int
    seconds: float
    count: int

    def hits(self, method: str, path: str, body: Any, account: str | None) -> bool:
        """Whether a request is one of those meant."""
        if self.method not in {None, method} or self.account not in {None, account}:
            return False
        if self.path is not None and not (path.startswith(self.path) or re.fullmatch(self.path, path)):
            return False
        return not self.body or (isinstance(body, dict) and all(same(body.get(k), v) for k, v in self.body.items()))


def same(given: Any, wanted: Any) -> bool:
    """Equal, where a number and the string of it are equal too."""
    one, other = number(given), number(wanted)
    return one == other if one is not None and other is not None else bool(given == wanted)


def read(raw: Any) -> Fault:
    """Read a fault as the control port gets it. Raises: BadFault."""
    if not isinstance(raw, dict):
        raise BadFault("a fault is a JSON object")
    do, when = raw.get("do"), raw.get("when", "before")
    if do not in DEEDS or when not in MOMENTS:
        raise BadFault(f"do must be one of {DEEDS} and when one of {MOMENTS}")
    path, body = raw.get("path"), raw.get("body") or {}
    if path is not None:
        _compiles(path)
    if not isinstance(body, dict):
        raise BadFault("body must be an object")
    method, account = raw.get("method"), raw.get("account")
    return Fault(
        method=str(method).upper() if method is not None else None,
        path=path,
        body=body,
        account=str(account) if account is not None else None,
        do=do,
        when=when,
        status=int(_amount(raw, "status", 503, 100, 599)),
        seconds=_amount(raw, "seconds", 60, 0, 86_400),
        count=int(_amount(raw, "count", 1, 1, 1_000_000)),
    )


def _compiles(path: Any) -> None:
    try:
        re.compile(path)
    except (re.error, TypeError) as error:
        raise BadFault(f"path {path!r}: {error}") from None


def _amount(raw: dict[str, Any], name: str, default: int, low: int, high: int) -> float:
    value = number(raw.get(name, default))
    if value is None or not low <= value <= high:
        raise BadFault(f"{name} must be a number from {low} to {high}")
    return float(value)


def answer(status: int, family: str) -> tuple[str, Any]:
    """The content type and body that Alpaca, or the gateway before it, sends with an error status."""
    if status in _GATEWAY:
        title = f"{status} {_GATEWAY[status]}"
        return "text/html", f"<html>\r\n<head><title>{title}</title></head>\r\n<body>{title}</body>\r\n</html>\r\n"
    if status == 429:
        return "application/json", rate_limited(family)
    if status == 500:
        return "application/json", {"code": 50010000, "message": "internal server error occurred"}
    return "application/json", {"code": status * 100_000 + 10_000, "message": "ordered on the control port"}


def rate_limited(family: str) -> dict[str, Any]:
    """The body of a 429; the data API's has no code."""
    if family == "data":
        return {"message": "too many requests."}
    return {"code": 42910000, "message": "rate limit exceeded"}


class Faults:
    """The faults in force, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._released = asyncio.Event()

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget all faults and let hanging requests go, which resets them."""
        self._faults.clear()
        self._released.set()
        self._released = asyncio.Event()

    def take(self, method: str, path: str, body: Any, account: str | None) -> Fault | None:
        """The fault that hits this request, counted down."""
        for fault in self._faults:
            if fault.hits(method, path, body, account):
                fault.count -= 1
                if not fault.count:
                    self._faults.remove(fault)
                return fault
        return None

    async def hang(self, seconds: float) -> None:
        """Wait *seconds* of wall time, or until the faults are cleared."""
        released = self._released
        try:
            await asyncio.wait_for(released.wait(), seconds)
        except TimeoutError:
            return
