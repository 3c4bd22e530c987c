"""Offering a registry to Prometheus over HTTP."""

from __future__ import annotations

from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from cli.settings import BadConfiguration


def offer(registry: CollectorRegistry, host: str, port: int, said_by: str) -> WSGIServer:
    """Serve ``/metrics`` from a thread until the server that is returned is shut down; port 0 is a free one.

    Raises:
        BadConfiguration: nobody can listen there; *said_by* is where the address comes from.
    """
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as e:
        raise BadConfiguration(f"{said_by}: cannot listen on {host}:{port}: {e.strerror}") from e
    return server
