"""Faults of the streams: what can happen to a message on its way to a connection, to a handshake, and to keys.

A fault matches messages by stream, account, event and symbol; its aim says which of them it hits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from paper import aim
from paper.aim import Aim, BadFault

TRADE_UPDATES, STOCK, OPTION = "trade_updates", "stock", "option"
STREAMS = (TRADE_UPDATES, STOCK, OPTION)

#: What can happen to the next messages that match.
MESSAGE_DEEDS = (
    "drop_next",
    "duplicate_next",
    "delay_next",
    "reorder_next",
    "junk_next",
    "garble_next",
    "unknown_event_next",
    "unknown_status_next",
)
#: What can happen to the next clients that come.
DOOR_DEEDS = ("refuse_handshake", "refuse_keys")
#: What happens to connections at once.
CONNECTION_DEEDS = ("mute", "unmute", "close", "error")
DEEDS = (*MESSAGE_DEEDS, *DOOR_DEEDS, *CONNECTION_DEEDS)

#: A frame that is neither JSON nor msgpack of any protocol here.
JUNK = b"\xc1\x00 not a message"
_UNKNOWN = "something_new"
_ABNORMAL = 1006
_A_DAY_S = 86_400


@dataclass(slots=True, kw_only=True)
class StreamFault:
    """One order of trouble. *event* is a trade update's event, *symbol* what a message is about; None is any."""

    do: str
    stream: str
    account: str | None
    event: str | None
    symbol: str | None
    seconds: float
    status: int
    code: int
    aim: Aim

    def shown(self) -> dict[str, Any]:
        """What the control port tells of it."""
        what = {"do": self.do, "stream": self.stream, "account": self.account}
        return what | {"event": self.event, "symbol": self.symbol} | self.aim.shown()

    def concerns(self, stream: str, account: str | None, topics: Iterable[tuple[str, str]]) -> bool:
        """Whether a message with these events and symbols, for this account, is one of those meant."""
        if self.stream != stream or self.account not in {None, account}:
            return False
        return any(self.event in {None, event} and self.symbol in {None, symbol} for event, symbol in topics)


def read(raw: dict[str, Any], accounts: Iterable[str]) -> StreamFault:
    """Read a fault as the control port gets it. Raises: BadFault."""
    stream, do, account = raw.get("stream"), raw.get("do"), raw.get("account")
    if stream not in STREAMS or do not in DEEDS:
        raise BadFault(f"stream must be one of {STREAMS} and do one of {DEEDS}")
    if account is not None and account not in accounts:
        raise BadFault(f"unknown account {account!r}")
    if do.startswith("unknown_") and stream != TRADE_UPDATES:
        raise BadFault(f"{do} is for {TRADE_UPDATES} only")
    return StreamFault(
        do=do,
        stream=stream,
        account=account,
        event=_text(raw, "event"),
        symbol=_text(raw, "symbol"),
        seconds=aim.amount(raw, "seconds", 1, 0, _A_DAY_S),
        status=aim.whole(raw, "status", 429, 400, 599),
        code=aim.whole(raw, "code", 500 if do == "error" else _ABNORMAL, 400 if do == "error" else 1000, 4999),
        aim=aim.read(raw),
    )


def _text(raw: dict[str, Any], name: str) -> str | None:
    given = raw.get(name)
    if given is not None and not isinstance(given, str):
        raise BadFault(f"{name} must be a text")
    return given


class StreamFaults:
    """The faults that wait for a message or a client, oldest first."""

    def __init__(self) -> None:
        self._faults: list[StreamFault] = []

    def add(self, fault: StreamFault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def shown(self) -> list[dict[str, Any]]:
        """All faults and how often each has hit."""
        return [fault.shown() for fault in self._faults]

    def hit(self, stream: str, account: str | None, topics: Iterable[tuple[str, str]]) -> StreamFault | None:
        """The fault that hits a message, counted."""
        if not self._faults:
            return None
        topics = list(topics)
        waiting = (f for f in self._faults if f.do in MESSAGE_DEEDS and f.concerns(stream, account, topics))
        return next((fault for fault in waiting if fault.aim.strikes()), None)

    def at_the_door(self, do: str, stream: str, account: str | None) -> StreamFault | None:
        """The fault that hits a client who comes, counted; at the handshake nobody knows the account yet."""
        waiting = (f for f in self._faults if f.do == do and f.stream == stream and f.account in {None, account})
        return next((fault for fault in waiting if fault.aim.strikes()), None)


def estranged(payload: dict[str, Any], do: str) -> dict[str, Any]:
    """A trade update with an event, or a status of its order, that no client has heard of."""
    data = payload["data"]
    if do == "unknown_event_next":
        return payload | {"data": data | {"event": _UNKNOWN}}
    return payload | {"data": data | {"order": data["order"] | {"status": _UNKNOWN}}}
