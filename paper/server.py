"""The program: what is wired to what, how it starts, and how it ends."""

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
from functools import partial
from typing import Any

from aiohttp import web

from paper import openapi, tape, times
from paper import options as command_line
from paper.book import Account
from paper.control import Control
from paper.door import Door
from paper.errors import DayFormatError, UsageError
from paper.eventlog import EventLog
from paper.gate import Gate, reply
from paper.numbers import cents
from paper.options import Options
from paper.rest_data import DataApi
from paper.rest_events import EventApi
from paper.rest_reference import ReferenceApi
from paper.rest_trading import TradingApi
from paper.state import State
from paper.stream_faults import OPTION, STOCK
from paper.stream_protocols import DataStream, Keys, TradeStream
from paper.world import World

log = logging.getLogger(__name__)

_DONE, _WRONG_USAGE, _PORT_IN_USE = 0, 2, 3
_PR_SET_PDEATHSIG = 1
_LARGEST_BODY = 1024 * 1024


class Server:
    """One world behind two ports. `start`, then `stop`, both on one event loop."""

    def __init__(self, options: Options, world: World, state: State | None = None) -> None:
        self._options = options
        self.world = world
        self._changed = asyncio.Event()
        self._log = EventLog(world.accounts)
        self._state = state
        world.witnesses.append(self._log.witness)
        if state is not None:
            state.restore(world, self._log)
        world.touched = self._touched
        for account in world.accounts.values():
            self._log.look(account, world.timeline.now)
        keys = Keys(world.accounts)
        self._gate = Gate(world, keys, self._settle)
        self._keys = keys
        self._door = Door(self._broker(), options.host, options.port)
        control = Control(world, self._gate, self._door, self._settle)
        self._control_door = Door(control.app(), options.host, options.control_port)
        self._pacer: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, Any]:
        """Listen, let the clock run, and return the line that tells where everything is."""
        port, control_port = await self._door.open(), await self._control_door.open()
        self._pacer = asyncio.create_task(self._pace())
        return self._announcement(port, control_port)

    async def stop(self) -> None:
        """Cut all connections and free the ports."""
        if self._pacer is not None:
            self._pacer.cancel()
        self._gate.faults.clear()
        await self.world.hub.shut()
        await self._door.close()
        await self._control_door.close()
        self.world.journal.close()
        if self._state is not None:
            self._state.close()

    def _broker(self) -> web.Application:
        app = web.Application(middlewares=[self._gate.middleware()], client_max_size=_LARGEST_BODY)
        events = EventApi(self.world, self._log)
        for api in (TradingApi(self.world), ReferenceApi(self.world), DataApi(self.world), events):
            app.add_routes(api.routes())
        notice = self.world.exchange.switches.deprecation_message
        trades = TradeStream(self.world.hub, self._keys, notice=notice).handle
        stocks, options = (DataStream(self.world.hub, self._keys, stream).handle for stream in (STOCK, OPTION))
        app.add_routes(
            [
                web.get("/stream", trades),
                web.get("/stream/", trades),
                web.get("/v2/{feed}", stocks),
                web.get("/v1beta1/{feed}", options),
            ]
        )
        described = openapi.describe(app.router.routes())
        app.router.add_get(openapi.PATH, partial(_describe, described), allow_head=False)
        return app

    async def _pace(self) -> None:
        """While the clock runs, wake up for every event; sleep until told of a change while it stands."""
        timeline = self.world.timeline
        while True:
            self._changed.clear()
            following = timeline.next_at() if timeline.speed else None
            wait = timeline.wall_seconds_until(following) if following else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait)
            self.world.catch_up()
            self._save()

    def _touched(self, account: Account) -> None:
        """An account changed without an order."""
        self._log.look(account, self.world.timeline.now)
        if self._state is not None:
            self._state.touch(account)

    def _settle(self) -> None:
        """Something may have changed: keep it, and let the pacer look at its queue."""
        self._save()
        self._changed.set()

    def _save(self) -> None:
        if self._state is not None:
            self._state.flush()

    def _announcement(self, port: int, control_port: int) -> dict[str, Any]:
        world, host = self.world, self._options.host
        host = f"[{host}]" if ":" in host else host
        return {
            "rest": f"http://{host}:{port}",
            "trade_stream": f"ws://{host}:{port}/stream",
            "stock_stream": f"ws://{host}:{port}/v2/iex",
            "option_stream": f"ws://{host}:{port}/v1beta1/indicative",
            "control": f"http://{host}:{control_port}",
            "accounts": {
                account.name: {
                    "key_id": account.name,
                    "secret": account.secret,
                    "account_number": account.number,
                    "cash": cents(account.cash),
                }
                for account in world.accounts.values()
            },
            "clock": times.iso(world.timeline.now),
            "sessions": [
                {
                    "date": session.day.isoformat(),
                    "open": times.iso(session.open),
                    "close": times.iso(session.close),
                    "early_close": session.early_close,
                }
                for session in world.calendar.recorded
            ],
        }


async def _describe(described: dict[str, Any], _request: web.Request) -> web.Response:
    """The description of the surface; the gate lets everybody read it."""
    return reply(described)


async def start(options: Options) -> tuple[Server, dict[str, Any]]:
    """Read the days and start a server on the running loop; return it and its announcement.

    Raises: UsageError, DayFormatError; OSError when a port is taken.
    """
    command_line.check(options)
    days = tape.read_days(list(options.data))
    state = State(options.state) if options.state is not None else None
    if state is not None:
        options = state.adjusted(options, days[0].session.open)
    server = Server(options, World(options, days), state)
    try:
        return server, await server.start()
    except OSError:
        await server.stop()
        raise


async def _run(options: Options) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    server, announcement = await start(options)
    print(json.dumps(announcement), flush=True)
    await stopped.wait()
    await server.stop()


def serve(options: Options) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    0 stopped as told, 2 wrong options or day folders (one line on stderr says what), 3 a port is taken.
    """
    if options.die_with_parent:
        _die_with_parent()
    try:
        asyncio.run(_run(options))
    except (UsageError, DayFormatError) as error:
        print(f"paper: {error}", file=sys.stderr)
        return _WRONG_USAGE
    except OSError as error:
        print(f"paper: {error}", file=sys.stderr)
        return _PORT_IN_USE
    return _DONE


def main(argv: list[str]) -> int:
    """The command line."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    return serve(command_line.parse(argv))


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent ends; elsewhere there is no such thing."""
    parent = os.getppid()
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended between the two calls
        os.kill(os.getpid(), signal.SIGTERM)
