"""What paper bears: orders accepted and quotes published to one subscriber, and the memory it takes.

A server of its own gets 200 orders a second from one client while another reads 20,000 quotes a second, which a made
day shows on the running clock. What a server keeps a fixed number of (facts of the journal, events that can be asked
for again) is filled up first, so that what grows afterwards is what is kept for ever: the orders. Prints one JSON
object: rates asked for and reached, latencies of the orders in milliseconds, the server's proportional memory (PSS) in
MiB at the start, when it was filled, after each fifth of the time, what each order of the last four fifths added, and
how busy the machine was.

    python -m benchmarks.paper_load [--seconds 60] [--orders 200] [--quotes 20000] [--fill 20000]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import requests
from websockets.sync.client import connect

KEYS = {"APCA-API-KEY-ID": "load", "APCA-API-SECRET-KEY": "paper"}
PACKED = {"Content-Type": "application/msgpack"}
DAY = "2026-02-03"
CONTRACTS = [f"ACME260206C{strike:05d}000" for strike in range(100, 200)]
#: Instants a second at which the market moves: each shows one quote for each of some contracts.
INSTANTS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--quotes", type=int, default=20_000)
    parser.add_argument("--fill", type=int, default=20_000, help="orders before the measurement")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        day = write_day(Path(folder) / "day", given.quotes, given.seconds)
        print(json.dumps(measure(day, given)))


def write_day(folder: Path, quotes: int, seconds: int) -> Path:
    """A day whose first seconds show so many quotes a second; its memory is there from the start."""
    folder.mkdir()
    session = {"date": DAY, "open": f"{DAY}T14:30:00Z", "close": f"{DAY}T21:00:00Z", "early_close": False}
    (folder / "session.json").write_text(json.dumps(session))
    head = "symbol,underlying,type,strike,expiration,last_trading_day,style,multiplier,open_interest,quotes,trades"
    rows = [f"{s},ACME,CALL,{int(s[-8:]) // 1000},2026-02-06,2026-02-06,american,100,1,0,0" for s in CONTRACTS]
    (folder / "contracts.csv").write_text("\n".join([head, *rows]) + "\n")
    _write(folder / "quotes.csv.gz", "ts,symbol,bid,ask,bid_size,ask_size,upd", _quotes(quotes, seconds + 5))
    _write(folder / "underlying.csv.gz", "ts,symbol,bid,ask,pairs", [f"{DAY}T14:30:00.000Z,ACME,99.9,100.1,1"])
    _write(folder / "trades.csv.gz", "ts,symbol,price,size,open,high,low", [])
    return folder


def _quotes(per_second: int, seconds: int) -> list[str]:
    """Rows of quotes, evenly over the instants of each second."""
    each = per_second // INSTANTS
    rows = []
    for instant in range(INSTANTS * seconds):
        millis = instant * 1000 // INSTANTS
        at = f"{DAY}T14:{30 + millis // 60_000:02d}:{millis // 1000 % 60:02d}.{millis % 1000:03d}Z"
        for n in range(each):
            symbol = CONTRACTS[(instant * each + n) % len(CONTRACTS)]
            rows.append(f"{at},{symbol},1.{instant % 90:02d},1.{instant % 90 + 5:02d},10,10,ba")
    return rows


def _write(path: Path, head: str, rows: list[str]) -> None:
    path.write_bytes(gzip.compress("\n".join([head, *rows, ""]).encode(), compresslevel=1))


def measure(day: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Run the load against a server of its own."""
    command = [sys.executable, "-m", "paper", "--data", str(day), "--speed", "0", "--rate-limit", "10000000"]
    command += ["--account", "load=1000000000", "--die-with-parent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = json.loads(server.stdout.readline()) if server.stdout else {}
            return _loaded(said, server.pid, given)
        finally:
            server.terminate()


def _loaded(said: dict[str, Any], pid: int, given: argparse.Namespace) -> dict[str, Any]:
    reader = Reader(said["option_stream"])
    start = pss_mib(pid)
    _run_clock(said, 1)
    _wait_for_quotes(reader)
    _run_clock(said, 0)
    submit(said["rest"], given.fill, None)
    filled, shown = pss_mib(pid), reader.received
    memory = Samples(pid, given.seconds)
    _run_clock(said, 1)
    began = time.monotonic()
    latencies = sorted(submit(said["rest"], given.orders * given.seconds, given.orders))
    time.sleep(max(0.0, began + given.seconds - time.monotonic()))
    took, received = time.monotonic() - began, reader.received - shown
    fifths = memory.finish()
    reader.close()
    later = len(latencies) * 4 / 5
    return {
        "seconds": round(took, 1),
        "orders": {"asked_per_s": given.orders, "accepted_per_s": round(len(latencies) / took, 1), **_ms(latencies)},
        "quotes": {"asked_per_s": given.quotes, "received_per_s": round(received / took)},
        "memory_mib": {"start": start, "filled": filled, "fifths": fifths},
        "bytes_per_order": round((fifths[-1] - fifths[0]) * 2**20 / later) if later else None,
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def _run_clock(said: dict[str, Any], speed: float) -> None:
    requests.post(said["control"] + "/clock", json={"speed": speed}, timeout=60).raise_for_status()


def _wait_for_quotes(reader: Reader) -> None:
    """Until every contract has shown a price, so that the orders which fill the server up are filled themselves."""
    deadline = time.monotonic() + 60
    while reader.received < 2 * len(CONTRACTS):
        if time.monotonic() > deadline:
            raise TimeoutError("no quotes came within a minute")
        time.sleep(0.01)


def _ms(latencies: list[float]) -> dict[str, float]:
    """Percentiles of sorted latencies."""
    return {f"p{p}_ms": round(latencies[int(len(latencies) * p / 100)] * 1000, 2) for p in (50, 99) if latencies}


def submit(url: str, count: int, per_second: int | None) -> list[float]:
    """POST limit orders, at a steady pace or one after the other; return how long each acceptance took, seconds."""
    taken = []
    with closing(requests.Session()) as session:
        began = time.monotonic()
        for n in range(count):
            if per_second:
                time.sleep(max(0.0, began + n / per_second - time.monotonic()))
            order = {"symbol": CONTRACTS[n % 50], "side": "buy", "qty": 1, "type": "limit", "time_in_force": "day"}
            order |= {"limit_price": "2.50", "client_order_id": f"load-{per_second}-{n}"}
            asked = time.monotonic()
            if session.post(url + "/v2/orders", json=order, headers=KEYS, timeout=30).status_code == 200:
                taken.append(time.monotonic() - asked)
            if per_second and asked - began > count / per_second:
                break
    return taken


class Samples:
    """The memory of a process after each fifth of so many seconds, read by a thread."""

    def __init__(self, pid: int, seconds: float) -> None:
        self._pid, self._step = pid, seconds / 5
        self._seen: list[float] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        began = time.monotonic()
        for fifth in range(1, 6):
            time.sleep(max(0.0, began + fifth * self._step - time.monotonic()))
            self._seen.append(pss_mib(self._pid))

    def finish(self) -> list[float]:
        self._thread.join()
        return self._seen


class Reader:
    """One subscriber to all contracts, in a thread; *received* counts its quotes."""

    def __init__(self, url: str) -> None:
        self.received = 0
        self._socket = connect(url, compression=None, additional_headers=PACKED).__enter__()
        for message in (
            {"action": "auth", "key": "load", "secret": "paper"},
            {"action": "subscribe", "quotes": CONTRACTS},
        ):
            self._socket.recv(10)
            self._socket.send(msgpack.packb(message))
        self._socket.recv(10)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        """Count by the arrays' lengths: decoding would measure this client."""
        for frame in self._socket:
            unpacker = msgpack.Unpacker()
            unpacker.feed(frame)
            self.received += unpacker.read_array_header()

    def close(self) -> None:
        self._socket.close()
        self._thread.join(5)


def pss_mib(pid: int) -> float:
    """Proportional memory of a process, MiB (Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise ProcessLookupError(pid)


if __name__ == "__main__":
    main()
