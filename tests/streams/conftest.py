"""Real servers for the message layer: the newest Valkey and the oldest Redis we promise to run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq import Worker

from streams.clients import writing_client
from tests.streams.kit import BINARIES, LossyWire, Noted, Server, binary_of


@pytest.fixture(scope="session", params=list(BINARIES))
def shared_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(binary_of(request.param), tmp_path_factory.mktemp("srv"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """An empty server."""
    client = writing_client(shared_server.url)
    client.flushall()
    client.close()
    return shared_server


@pytest.fixture(params=list(BINARIES))
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server that the test may kill."""
    server = Server(binary_of(request.param), tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    client = writing_client(server.url)
    yield client
    client.close()


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def run_worker() -> Iterator[Callable[..., Worker]]:
    """Start Workers that are stopped when the test ends."""
    workers: list[Worker] = []

    def start(broker: Any, *, threads: int = 2, timeout_ms: int = 100) -> Worker:
        worker = Worker(broker, worker_timeout=timeout_ms, worker_threads=threads)
        worker.start()
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.stop(timeout=5000)


@pytest.fixture
def wire(server: Server, tmp_path: Path) -> Iterator[LossyWire]:
    wire = LossyWire(server.socket, tmp_path / "wire.sock")
    yield wire
    wire.close()
