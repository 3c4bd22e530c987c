"""Times: aware UTC datetimes inside, and the three ways Alpaca writes them."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
#: No calendar is computed beyond this.
LAST_YEAR = 2200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: str) -> datetime:
    """Return the instant that an ISO text names; a text without an offset, or a date, is read as UTC.

    Raises: ValueError when it is no ISO time.
    """
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def iso(at: datetime) -> str:
    """The form of the control port and the journal: microseconds only where there are any."""
    return at.isoformat().replace("+00:00", "Z")


def nanos(at: datetime) -> str:
    """The form of orders and quotes: nine decimals and Z."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}000Z"


def new_york(at: datetime) -> str:
    """The form of /v2/clock: whole seconds with New York's offset."""
    return at.astimezone(NEW_YORK).isoformat(timespec="seconds")


def new_york_stamp(at: datetime) -> str:
    """The prefix of an activity's id: New York's wall time to the millisecond, digits only."""
    local = at.astimezone(NEW_YORK)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}"


def new_york_day(at: datetime) -> date:
    """The New York date of an instant."""
    return at.astimezone(NEW_YORK).date()


def at_new_york(day: date, wall: time) -> datetime:
    """The instant at which New York's clocks show *wall* on *day*."""
    return datetime.combine(day, wall, NEW_YORK).astimezone(UTC)


def epoch_ns(at: datetime) -> int:
    """Nanoseconds since 1970, exact (no float)."""
    delta = at - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000
