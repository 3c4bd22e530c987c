"""A real Prometheus with our rules, a real Alertmanager with our routes, and somebody who is told."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from cli.children import Children
from tests.monitoring.alerts import ROOT, RULES
from tests.monitoring.tools import alertmanager, need

#: How often targets are scraped and rules evaluated here, in seconds; what rules wait for is as shipped.
EVERY = "1s"


@dataclass
class Told:
    """What Alertmanager sent, by alert and labels: the last word, and when it first said ``firing``."""

    words: dict[tuple[str, frozenset[tuple[str, str]]], str] = field(default_factory=dict)
    receivers: dict[str, set[str]] = field(default_factory=dict)

    def hear(self, body: Any) -> None:
        for alert in body["alerts"]:
            labels = {k: v for k, v in alert["labels"].items() if k not in ("alertname", "severity")}
            name = alert["labels"]["alertname"]
            self.words[name, frozenset(labels.items())] = alert["status"]
            self.receivers.setdefault(name, set()).add(body["receiver"])

    def firing(self, name: str, **labels: str) -> bool:
        """Has an alert with at least these labels been announced and not taken back?"""
        return any(n == name and labels.items() <= dict(of).items() and w == "firing" for (n, of), w in self._words())

    def resolved(self, name: str) -> bool:
        """Was it announced, and every announcement taken back?"""
        said = [word for (n, _), word in self._words() if n == name]
        return bool(said) and set(said) == {"resolved"}

    def all_firing(self) -> set[str]:
        return {name for (name, _), word in self._words() if word == "firing"}

    def _words(self) -> list[tuple[tuple[str, frozenset[tuple[str, str]]], str]]:
        return list(self.words.items())


@dataclass(frozen=True, slots=True)
class Watchtower:
    prometheus: str
    told: Told

    def ask(self, path: str, **params: str) -> Any:
        answer = requests.get(f"{self.prometheus}/api/v1/{path}", params=params, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]

    def metrics_seen(self) -> set[str]:
        """The names of our metrics that were ever scraped."""
        return {name for name in self.ask("label/__name__/values") if name.startswith("gapless_")}

    def await_firing(self, name: str, timeout_s: float = 60, **labels: str) -> float:
        return _await(lambda: self.told.firing(name, **labels), f"{name} fires {labels or ''}", timeout_s)

    def await_resolved(self, name: str, timeout_s: float = 60) -> float:
        return _await(lambda: self.told.resolved(name), f"{name} resolves", timeout_s)


def _await(holds: Any, what: str, timeout_s: float) -> float:
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < timeout_s, f"after {timeout_s:.0f} s still not: {what}"
        time.sleep(0.1)
    return time.monotonic() - started


@contextmanager
def watching(folder: Path, children: Children, jobs: Mapping[str, list[str]]) -> Iterator[Watchtower]:
    """Scrape *jobs* (name to addresses) and tell of alerts, for the length of the block."""
    told = Told()
    folder.mkdir()
    with _listening(told) as hook:
        manager, prometheus = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        routes = _routes(folder, hook)
        children.start(
            "alertmanager",
            [
                *alertmanager(),
                f"--config.file={routes}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={manager}",
                "--cluster.listen-address=",
            ],
        )
        config = folder / "prometheus.json"
        config.write_text(json.dumps(_config(manager, jobs)))
        children.start(
            "prometheus",
            [
                str(need("prometheus")),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={prometheus}",
                "--log.level=warn",
            ],
        )
        for url in (f"http://{manager}/-/ready", f"http://{prometheus}/-/ready"):
            _await(lambda url=url: _answers(url), f"{url} answers", 30)
        yield Watchtower(f"http://{prometheus}", told)


def _config(manager: str, jobs: Mapping[str, list[str]]) -> dict[str, Any]:
    """JSON is YAML. The rules are the shipped ones; only targets and rhythm are ours."""
    return {
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": [str(RULES)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
        "scrape_configs": [
            {"job_name": name, "scrape_timeout": EVERY, "static_configs": [{"targets": targets}]}
            for name, targets in jobs.items()
        ],
    }


def _routes(folder: Path, hook: str) -> Path:
    """The shipped routes, where every receiver is our hook and nothing is kept back to be sent together."""
    shipped = (ROOT / "monitoring" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    hooked = re.sub(
        r"(?m)^  - name: (\w+)$",
        rf'  - name: \1\n    webhook_configs: [{{url: "{hook}", send_resolved: true}}]',
        shipped,
    )
    file = folder / "alertmanager.yml"
    file.write_text(re.sub(r"group_(wait|interval): \w+", r"group_\1: 1s", hooked), encoding="utf-8")
    return file


@contextmanager
def _listening(told: Told) -> Iterator[str]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.hear(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def free_port(length: int = 1) -> int:
    """The first of *length* ports in a row that nobody listens on."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
        if port + length < 65536 and all(_is_free(port + n) for n in range(length)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
