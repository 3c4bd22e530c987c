"""What every HTTP request passes: journal, faults, keys, rate limit, and errors in Alpaca's shape."""

import asyncio
import base64
import hashlib
import json
import logging
import socket
import struct
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from paper import faults, ids, openapi
from paper.book import Account
from paper.errors import ApiError, bad_body, data_error, forbidden, not_found, unauthorized
from paper.faults import Fault, Faults
from paper.limits import Verdict
from paper.mischief import Mischief, Serve
from paper.stream_protocols import DataStream, Keys, TradeStream
from paper.world import World

log = logging.getLogger(__name__)

_DATA_PATHS = ("/v1beta1/", "/v2/stocks/")
#: Reset instead of an orderly end: linger on, zero seconds.
_RESET = struct.pack("ii", 1, 0)
#: Bytes of an answer that are written down.
_LONGEST_REPLY = 16 * 1024
#: Stands for a body that is no JSON.
_UNREADABLE = object()
_ACCOUNT = web.RequestKey("account", Account)
_BODY: web.RequestKey[Any] = web.RequestKey("body", object)


def reply(payload: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(
        status=status, body=json.dumps(payload, separators=(",", ":")).encode(), content_type="application/json"
    )


def account_of(request: web.Request) -> Account:
    """The account whose keys the request carries; it has passed the gate."""
    return request[_ACCOUNT]


def body_of(request: web.Request) -> Any:
    """The request's JSON, numbers exact. Raises: ApiError when it is none."""
    parsed = request[_BODY]
    if parsed is _UNREADABLE:
        raise bad_body()
    return parsed


class Gate:
    """The middleware of both APIs, and what it counts. *settle* keeps what changed and tells the pacer."""

    def __init__(self, world: World, keys: Keys, settle: Callable[[], None]) -> None:
        self.faults = Faults()
        self.requests = 0
        self.in_flight = 0
        self._world = world
        self._keys = keys
        self._settle = settle
        self._mischief = Mischief(world)

    def middleware(self) -> Any:
        """The aiohttp middleware."""

        @web.middleware
        async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            if _is_handshake(request) or request.path == openapi.PATH:
                return await handler(request)
            self.requests += 1
            self.in_flight += 1
            try:
                return await self._answer(request, handler)
            finally:
                self.in_flight -= 1

        return pass_gate

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        number = self.requests
        family = "data" if request.path.startswith(_DATA_PATHS) else "trading"
        try:
            body = request[_BODY] = _read(await request.read())
        except web.HTTPRequestEntityTooLarge as error:
            request[_BODY] = _UNREADABLE
            response = _http_error(error)
            self._write_down(number, request, response, None, None)
            return response
        self._world.catch_up()
        name, _ = _credentials(request)
        fault = self.faults.take(request.method, request.path, body, name)
        serve = partial(self._serve, request, handler, family)
        if fault is None:
            response = await serve()
        elif fault.do in faults.ORDER_DEEDS:
            response = await self._play(fault, request, serve)
        elif fault.do == "slow":
            response = await self._dawdle(fault, serve)
        elif fault.when == "before":
            response = await self._suffer(fault, request, family)
        else:
            self._write_down(number, request, await serve(), name, "carried out, answer replaced")
            response = await self._suffer(fault, request, family)
        response.headers["X-Request-ID"] = ids.make("request", number)
        self._write_down(number, request, response, name, fault.do if fault else None)
        self._settle()
        return response

    async def _play(self, fault: Fault, request: web.Request, serve: Serve) -> web.Response:
        """Answer as ever, and let the order have its trouble."""
        name = self._keys.account(*_credentials(request))
        account = self._world.accounts.get(name) if name is not None else None
        return await self._mischief.play(fault, account, request.match_info.get("id", ""), serve)

    async def _dawdle(self, fault: Fault, serve: Serve) -> web.Response:
        """Answer truly, but late."""
        if fault.when == "after":
            response = await serve()
            await self._linger(fault)
            return response
        await self._linger(fault)
        self._world.catch_up()
        return await serve()

    async def _linger(self, fault: Fault) -> None:
        """Let wall time pass. A request that waits counts as answered: it must not keep a clock waiting."""
        self.in_flight -= 1
        try:
            await self.faults.hang(fault.seconds)
        finally:
            self.in_flight += 1

    async def _serve(self, request: web.Request, handler: Handler, family: str) -> web.Response:
        """Check keys and rate, then let the handler answer; whatever goes wrong becomes a JSON error."""
        verdict: Verdict | None = None
        try:
            account = request[_ACCOUNT] = self._authenticate(request, family)
            verdict = self._world.limits.take(account.name, family, self._world.timeline.now)
            if verdict.allowed:
                _refuse_restricted(account, request)
                response = cast("web.Response", await handler(request))
                if request.method != "GET":
                    self._world.touched(account)
            else:
                response = reply(faults.rate_limited(family), 429)
        except ApiError as error:
            response = reply(error.body, error.status)
        except web.HTTPException as error:
            response = _http_error(error)
        except Exception:  # the last resort of a server: the caller gets Alpaca's 500, the log gets the trace
            log.exception("request %s %s failed", request.method, request.path)
            response = reply(faults.answer(500, family)[1], 500)
        if verdict is not None:
            response.headers.update(verdict.headers())
        self._settle()
        return response

    def _authenticate(self, request: web.Request, family: str) -> Account:
        name = self._keys.account(*_credentials(request))
        if name is None:
            form = self._world.exchange.switches.unauthorized_with_code
            raise data_error(403, "forbidden.") if family == "data" else unauthorized(with_code=form)
        return self._world.accounts[name]

    async def _suffer(self, fault: Fault, request: web.Request, family: str) -> web.Response:
        """Carry out a fault that replaces the answer."""
        if fault.do == "status":
            content_type, body = faults.answer(fault.status, family)
            text = body if isinstance(body, str) else json.dumps(body)
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
            return web.Response(status=fault.status, text=text, content_type=content_type, headers=headers)
        if fault.do == "hang":
            await self._linger(fault)
        _reset(request)
        return web.Response(status=503)

    def _write_down(
        self, number: int, request: web.Request, response: web.Response, account: str | None, fault: str | None
    ) -> None:
        """Journal a request and its answer; of a long one its length and digest."""
        facts: dict[str, Any] = {
            "request": number,
            "method": request.method,
            "path": request.path,
            "query": request.query_string,
            "account": account,
            "status": response.status,
        }
        if request[_BODY] is not None:
            facts["body"] = "unreadable" if request[_BODY] is _UNREADABLE else request[_BODY]
        if isinstance(response.body, bytes):
            facts["reply"] = _reply_text(response.body)
        if fault is not None:
            facts["fault"] = fault
        self._world.journal.record("request", **facts)


def _is_handshake(request: web.Request) -> bool:
    """Whether this opens a websocket, which authenticates by itself and is not counted as a request."""
    asks = request.headers.get("Upgrade", "").lower() == "websocket"
    return asks and isinstance(getattr(request.match_info.handler, "__self__", None), TradeStream | DataStream)


def _refuse_restricted(account: Account, request: web.Request) -> None:
    """Keep an account that was stopped from trading; what it has can be looked at. Raises: ApiError."""
    if request.method == "GET" or request.path.startswith("/v2/account/"):
        return
    if account.account_blocked:
        raise forbidden("account is blocked")
    makes_orders = request.method in {"POST", "PATCH"} or request.path.startswith("/v2/positions")
    if makes_orders and account.suspended_by_user:
        raise forbidden("new orders are rejected by user request")
    if makes_orders and account.trading_blocked:
        raise forbidden("account is not allowed to trade")


def _reply_text(body: bytes) -> str:
    if len(body) <= _LONGEST_REPLY:
        return body.decode()
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"


def _read(raw: bytes) -> Any:
    """Parse a body, floats as exact decimals; None when there is none."""
    if not raw:
        return None
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _credentials(request: web.Request) -> tuple[str | None, str | None]:
    """Key id and secret from Alpaca's headers, or from basic authentication."""
    headers = request.headers
    if "Authorization" in headers:
        return _basic(headers["Authorization"])
    return headers.get("APCA-API-KEY-ID"), headers.get("APCA-API-SECRET-KEY")


def _basic(header: str) -> tuple[str | None, str | None]:
    try:
        text = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except ValueError:
        return None, None
    key, _, secret = text.partition(":")
    return key, secret


def _http_error(error: web.HTTPException) -> web.Response:
    """The framework's own refusals: unknown paths, wrong methods, bodies too large."""
    if error.status == 404:
        return reply(not_found("endpoint not found").body, 404)
    return reply({"code": error.status * 100_000 + 10_000, "message": error.reason.lower()}, error.status)


def _reset(request: web.Request) -> None:
    """Drop the connection with RST."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if isinstance(transport, asyncio.Transport):
        transport.abort()
