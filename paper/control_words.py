"""Reading what the control port is told, with a reason when it makes no sense."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from paper import times
from paper.book import Account
from paper.numbers import number
from paper.world import World


class BadOrder(Exception):
    """Raised when a request to the control port makes no sense."""


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object that a request carries. Raises: BadOrder."""
    try:
        order = json.loads(await request.read(), parse_float=Decimal)
    except (ValueError, RecursionError):
        raise BadOrder("the body is no JSON") from None
    if not isinstance(order, dict):
        raise BadOrder("the body is no JSON object")
    return order


def instant(order: dict[str, Any], name: str) -> datetime | None:
    """An ISO time; None when there is none. Raises: BadOrder."""
    given = order.get(name)
    if given is None:
        return None
    try:
        at = times.parse(str(given))
    except (ValueError, OverflowError):
        raise BadOrder(f"{name} must be an ISO time, not {given!r}") from None
    if at.year > times.LAST_YEAR:
        raise BadOrder(f"{name} is beyond the year {times.LAST_YEAR}")
    return at


def day(order: dict[str, Any], name: str) -> date:
    """A date. Raises: BadOrder."""
    try:
        return date.fromisoformat(str(order.get(name)))
    except ValueError:
        raise BadOrder(f"{name} must be a date, not {order.get(name)!r}") from None


def decimal(order: dict[str, Any], name: str) -> Decimal:
    """A number of any sign. Raises: BadOrder."""
    value = number(order.get(name))
    if value is None:
        raise BadOrder(f"{name} must be a number")
    return value


def positive(order: dict[str, Any], name: str) -> Decimal:
    """A number above zero. Raises: BadOrder."""
    value = number(order.get(name))
    if value is None or value <= 0:
        raise BadOrder(f"{name} must be a positive number")
    return value


def amount(order: dict[str, Any], name: str, most: int) -> float:
    """A number from 0 to *most*. Raises: BadOrder."""
    value = number(order.get(name))
    if value is None or not 0 <= value <= most:
        raise BadOrder(f"{name} must be a number from 0 to {most}")
    return float(value)


def choice(order: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    """One of some words. Raises: BadOrder."""
    given = order.get(name)
    if not isinstance(given, str) or given not in allowed:
        raise BadOrder(f"{name} must be one of {allowed}")
    return given


def symbol(world: World, order: dict[str, Any]) -> str:
    """The symbol of an instrument that exists. Raises: BadOrder."""
    found = world.registry.find(str(order.get("symbol")))
    if found is None:
        raise BadOrder(f"unknown symbol {order.get('symbol')!r}")
    return found.symbol


def account(world: World, order: dict[str, Any]) -> Account:
    """An account that exists. Raises: BadOrder."""
    name = order.get("account")
    if not isinstance(name, str) or name not in world.accounts:
        raise BadOrder(f"unknown account {name!r}")
    return world.accounts[name]
