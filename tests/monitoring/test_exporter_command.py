"""``gapless exporter`` as a process: one line that says where, metrics over HTTP, a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import requests

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(database_url: str, redis_url: str, redis_client: redis.Redis) -> dict[str, str]:
    kept = {word: value for word, value in os.environ.items() if not word.startswith("GAPLESS_")}
    return kept | {
        "GAPLESS_DATABASE_URL": database_url,
        "GAPLESS_REDIS_URL": redis_url,
        "GAPLESS_ACCOUNTS__LARGE__KEY_ID": "PKEYOFNOBODY",
        "GAPLESS_ACCOUNTS__LARGE__SECRET": "a-secret-of-nobody",
    }


def test_the_exporter_serves_until_it_is_told_to_stop(environment: dict[str, str]):
    """On loopback alone; both sources are read; no key and no secret is shown; SIGTERM is no error."""
    words = [sys.executable, "-P", "-m", "cli", "exporter", "--port", "0"]
    with subprocess.Popen(
        words, cwd=ROOT, env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            page = requests.get(address, timeout=20).text
        finally:
            process.send_signal(signal.SIGTERM)

    assert 0 == process.returncode
    assert address.startswith("http://127.0.0.1:")
    assert 'gapless_source_up{source="postgres"} 1.0' in page
    assert 'gapless_source_up{source="redis"} 1.0' in page
    assert 'gapless_build_info{code="' in page
    assert "NOBODY" not in page
    assert "a-secret" not in page


def test_a_port_that_is_taken_is_one_line_and_no_traceback(environment: dict[str, str]):
    """Somebody else listens there: the command ends, and says what is wrong."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = [sys.executable, "-P", "-m", "cli", "exporter", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert 2 == done.returncode
    assert "Traceback" not in done.stderr
    assert "--port" in done.stderr
