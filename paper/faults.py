"""Faults of the HTTP side, ordered on the control port: which request is hit, when, and by what.

A fault matches requests, and its aim says which of them it hits. To add a kind of fault, add its name here and its
effect in `gate` (what happens to the answer) or in `mischief` (what happens to the order).
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from paper import aim
from paper.aim import Aim, BadFault
from paper.numbers import number

#: What can happen to an answer.
ANSWER_DEEDS = ("hang", "status", "reset", "slow")
#: What can happen to an order, while its request is answered as ever.
ORDER_DEEDS = ("reply_first", "late_reject", "fill_after_cancel")
DEEDS = (*ANSWER_DEEDS, *ORDER_DEEDS)
MOMENTS = ("before", "after")
_GATEWAY = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
_A_DAY_S = 86_400


@dataclass(slots=True, kw_only=True)
class Fault:
    """One order of trouble.

    *path* is a prefix, or an expression for the whole path. *when* "before": the request is never carried out;
    "after": it is, and then the answer goes wrong. *do*: hang (no answer, and a reset after *seconds* of wall time),
    slow (the true answer, *seconds* of wall time late), status (*status* is answered, with *retry_after* seconds in
    the header of that name), reset; and for orders, with *seconds* of the clock: reply_first (fills no earlier),
    late_reject, fill_after_cancel.
    """

    method: str | None
    path: str | None
    body: dict[str, Any]
    account: str | None
    do: str
    when: str
    status: int
    seconds: float
    retry_after: int | None
    aim: Aim

    def hits(self, method: str, path: str, body: Any, account: str | None) -> bool:
        """Whether a request is one of those meant."""
        if self.method not in {None, method} or self.account not in {None, account}:
            return False
        if self.path is not None and not (path.startswith(self.path) or re.fullmatch(self.path, path)):
            return False
        return not self.body or (isinstance(body, dict) and all(same(body.get(k), v) for k, v in self.body.items()))

    def shown(self) -> dict[str, Any]:
        """What the control port tells of it."""
        what = {"do": self.do, "when": self.when, "method": self.method, "path": self.path, "account": self.account}
        return (
            what
            | {"body": self.body, "status": self.status, "seconds": self.seconds, "retry_after": self.retry_after}
            | self.aim.shown()
        )


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
        status=aim.whole(raw, "status", 503, 200, 599),
        seconds=aim.amount(raw, "seconds", 0 if do in ORDER_DEEDS else 60, 0, _A_DAY_S),
        retry_after=aim.whole(raw, "retry_after", 0, 0, _A_DAY_S) if raw.get("retry_after") is not None else None,
        aim=aim.read(raw),
    )


def _compiles(path: Any) -> None:
    try:
        re.compile(path)
    except (re.error, TypeError) as error:
        raise BadFault(f"path {path!r}: {error}") from None


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
    """The faults that were ordered, oldest first; one that is spent stays to be looked at."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._released = asyncio.Event()

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def shown(self) -> list[dict[str, Any]]:
        """All faults and how often each has hit."""
        return [fault.shown() for fault in self._faults]

    def clear(self) -> None:
        """Forget all faults and let hanging requests go, which resets them."""
        self._faults.clear()
        self._released.set()
        self._released = asyncio.Event()

    def take(self, method: str, path: str, body: Any, account: str | None) -> Fault | None:
        """The fault that hits this request, counted."""
        for fault in self._faults:
            if fault.hits(method, path, body, account) and fault.aim.strikes():
                return fault
        return None

    async def hang(self, seconds: float) -> None:
        """Wait *seconds* of wall time, or until the faults are cleared."""
        released = self._released
        try:
            await asyncio.wait_for(released.wait(), seconds)
        except TimeoutError:
            return
