"""Where a process can be looked at: ``/metrics`` for Prometheus, ``/health`` for whoever restarts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

#: Returns why the process does not work, None when it does.
Trouble = Callable[[], str | None]
_TEXT: Final = [("Content-Type", "text/plain; charset=utf-8")]


class _Server(ThreadingMixIn, WSGIServer):
    """A slow reader keeps nobody else waiting, and no stop."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """A request every few seconds is not news."""


@dataclass(frozen=True, slots=True)
class Door:
    """An open door and its *port*."""

    port: int
    close: Callable[[], None]


def open_door(host: str, port: int, registry: CollectorRegistry, trouble: Trouble) -> Door:
    """Answer on *host*:*port* (0: a free one) from a thread of its own, until the door is closed.

    Raises:
        OSError: the port is taken.
    """
    metrics = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/health":
            return _health(trouble(), start_response)
        offered: Iterable[bytes] = metrics(environ, start_response)
        return offered

    server = make_server(host, port, app, _Server, _Silent)
    threading.Thread(target=server.serve_forever, name="door", daemon=True).start()

    def close() -> None:
        server.shutdown()
        server.server_close()

    return Door(server.server_port, close)


def _health(trouble: str | None, start_response: StartResponse) -> Iterable[bytes]:
    status = HTTPStatus.OK if trouble is None else HTTPStatus.SERVICE_UNAVAILABLE
    start_response(f"{status.value} {status.phrase}", list(_TEXT))
    return [f"{trouble or 'works'}\n".encode()]
