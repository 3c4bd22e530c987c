"""A process that holds embedded servers until a signal ends it; run by the tests as a script."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from cli.supervisor import Interrupted, embedded_servers, interruptible

if __name__ == "__main__":
    try:
        with interruptible(), embedded_servers(Path(sys.argv[1]), durable=False) as servers:
            print(json.dumps({"redis_url": servers.redis_url, "database_url": servers.database_url}), flush=True)
            while True:
                signal.pause()
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
