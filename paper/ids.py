"""Every id this server makes can be computed again: a replay of the same day makes the same ids."""

import hashlib
from datetime import datetime
from uuid import UUID, uuid5

from paper import times

_NAMESPACE = UUID("6ba7c0de-5eed-5a1e-9a9e-000000000001")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def make(*parts: object) -> str:
    """Return the UUID that belongs to these words."""
    return str(uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)))


def order_id(account: str, client_order_id: str) -> str:
    """One order for one client id in one account, so one id."""
    return make("order", account, client_order_id)


def asset_id(symbol: str) -> str:
    """The id of a stock or an option contract."""
    return make("asset", symbol)


def event_id(at: datetime, *parts: object) -> str:
    """Return a ULID: 48 bits of the event's time, then 80 bits that come from *parts*."""
    tail = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()[:10]
    value = (times.epoch_ns(at) // 1_000_000 << 80) | int.from_bytes(tail)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))
