"""What this server answers when it refuses, and what it says when a day folder cannot be used.

Alpaca keeps the HTTP status and ``code`` stable and may change the text; both are given here as Alpaca sends them.
"""

from typing import Any


class DayFormatError(Exception):
    """Raised when a day folder cannot be used; the message names file, line, field and value."""


class UsageError(Exception):
    """Raised when the options given at start contradict each other."""


class ApiError(Exception):
    """Raised to answer a request with *status* and a JSON *body*."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def _error(status: int, code: int, message: str, fields: dict[str, Any]) -> ApiError:
    return ApiError(status, {"code": code, "message": message, **fields})


def bad_body() -> ApiError:
    """The request's body is no JSON object."""
    return _error(400, 40010000, "request body format is invalid", {})


def invalid(message: str) -> ApiError:
    """A field of the request is missing or malformed."""
    return _error(422, 40010001, message, {})


def unprocessable(message: str, **fields: Any) -> ApiError:
    """A well-formed request that a rule of the market or of the order's state refuses."""
    return _error(422, 42210000, message, fields)


def forbidden(message: str, **fields: Any) -> ApiError:
    """The account may not do this: buying power, quantity, permission."""
    return _error(403, 40310000, message, fields)


def not_found(message: str) -> ApiError:
    """There is no such thing."""
    return _error(404, 40410000, message, {})


def unauthorized(*, with_code: bool) -> ApiError:
    """The trading API does not know these keys; both forms have been seen."""
    if not with_code:
        return ApiError(401, {"message": "unauthorized."})
    return _error(401, 40110000, "request is not authorized", {})


def data_error(status: int, message: str) -> ApiError:
    """An error of the market data API, whose bodies carry no code."""
    return ApiError(status, {"message": message})
