"""Real servers for the message layer: the newest Valkey and the oldest Redis we promise to run on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq import Worker

from streams.broker import StreamsBroker
from streams.clients import writing_client
from tests.streams.kit import BINARIES, LossyWire, Noted, Server, binary_of

MEETS_OLDEST_WHEN_FAST = {"test_consumer.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What everything rests on meets the oldest server every time, the rest in the long run."""
    for item in items:
        if item.path.name not in MEETS_OLDEST_WHEN_FAST and "redis-6.2" in item.name:
            item.add_marker(pytest.mark.slow)


@contextmanager
def running(kind: str) -> Iterator[Server]:
    """A server that writes its AOF to memory where there is such a folder: fsync is real, disks are not waited for."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a private folder inside it
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        server = Server(binary_of(kind), Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session", params=list(BINARIES))
def shared_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """An empty server."""
    client = writing_client(shared_server.url)
    client.flushall()
    client.close()
    return shared_server


@pytest.fixture(params=list(BINARIES))
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that the test may kill."""
    with running(request.param) as server:
        yield server


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

    def start(broker: Any, *, threads: int = 2, timeout_ms: int = 10) -> Worker:
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


@pytest.fixture
def broker(server: Server, noted: Noted) -> Iterator[StreamsBroker]:
    broker = StreamsBroker(url=server.url, hooks=noted)
    yield broker
    broker.close()


@pytest.fixture
def brief_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less before a task is run again, before dramatiq restarts a consumer, and between two looks of join."""
    monkeypatch.setitem(StreamsBroker.join.__kwdefaults__, "interval", 10)
    monkeypatch.setattr("streams.tasks.UNSETTLED_PAUSE_S", 0.05)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
