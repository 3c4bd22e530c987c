"""Query parameters: typed reading, with an answer in the API's words when one is malformed.

alpaca-py writes booleans as ``True``, lists as commas and times as ISO with an offset.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

from paper import times
from paper.errors import ApiError, invalid
from paper.numbers import number

_FLAGS = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False, "": False}


class Query:
    """The parameters of one request; *refuse* makes the error for a malformed one."""

    def __init__(self, given: Mapping[str, str], refuse: Callable[[str], ApiError] = invalid) -> None:
        self._given = given
        self._refuse = refuse

    def refuse(self, name: str) -> ApiError:
        """The error for a malformed parameter."""
        return self._refuse(f"invalid {name}")

    def text(self, name: str) -> str | None:
        """The value; an empty one counts as absent."""
        return self._given.get(name) or None

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name) or default
        if value not in allowed:
            raise self.refuse(name)
        return value

    def flag(self, name: str) -> bool:
        value = _FLAGS.get(self._given.get(name, "").lower())
        if value is None:
            raise self.refuse(name)
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number; above *high* is refused, as Alpaca does for limits."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10) or not low <= int(text) <= high:
            raise self.refuse(name)
        return int(text)

    def decimal(self, name: str) -> Decimal | None:
        text = self.text(name)
        if text is None:
            return None
        value = number(text)
        if value is None:
            raise self.refuse(name)
        return value

    def time(self, name: str) -> datetime | None:
        """An instant; a plus sign that a client forgot to escape arrives as a space."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return times.parse(text.replace(" ", "+") if "T" in text else text)
        except (ValueError, OverflowError):
            raise self.refuse(name) from None

    def day(self, name: str) -> date | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            raise self.refuse(name) from None

    def names(self, name: str) -> list[str]:
        """A comma-separated list without empty entries."""
        return [part.strip() for part in (self._given.get(name) or "").split(",") if part.strip()]
