"""A port that can be shut for a while, as if the server behind it were down."""

import asyncio

from aiohttp import web


class Door:
    """One application behind one port. `open`, then `close`, both on one event loop."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        self._host = host
        self._port = port
        self._site: web.TCPSite | None = None
        self._reopening: asyncio.Task[None] | None = None

    async def open(self) -> int:
        """Listen and return the port. Raises: OSError when it is taken."""
        await self._runner.setup()
        await self._listen()
        self._port = int(self._runner.addresses[0][1])
        return self._port

    async def close(self) -> None:
        """Cut all connections and free the port."""
        if self._reopening is not None:
            self._reopening.cancel()
        await self._runner.cleanup()

    async def refuse(self, seconds: float) -> None:
        """Cut all connections and refuse new ones, for so many seconds of wall time or until `admit`."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        self._cut()
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = asyncio.get_running_loop().create_task(self._admit_after(seconds))

    async def admit(self) -> None:
        """Listen again."""
        if self._site is None:
            await self._listen()

    async def _admit_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.admit()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await self._site.start()

    def _cut(self) -> None:
        server = self._runner.server
        for connection in server.connections if server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()
