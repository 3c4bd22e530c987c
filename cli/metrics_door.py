"""The door of a process, where the configuration or an option says that it is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from cli.settings import BadConfiguration
from monitoring.door import Door, Trouble, open_door


def offer(registry: CollectorRegistry, host: str, port: int, trouble: Trouble, *, said_by: str) -> Door:
    """Serve ``/metrics`` and ``/health`` from a thread until the door is closed; port 0 is a free one.

    Raises:
        BadConfiguration: nobody can listen there; *said_by* is where the address comes from.
    """
    try:
        return open_door(host, port, registry, trouble)
    except OSError as e:
        raise BadConfiguration(f"{said_by}: cannot listen on {host}:{port}: {e.strerror}") from e
