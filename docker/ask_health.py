"""Asks a process of the stack whether it works; exit code 1 when it does not.

python ask_health.py PORT

Its own few lines, because it runs every few seconds beside every process: ``gapless`` itself takes longer to import.
"""

from __future__ import annotations

import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=4)
try:
    connection.request("GET", "/health")
    answer = connection.getresponse()
    said = answer.read().decode(errors="replace")
except OSError as e:
    sys.exit(f"no answer: {e}")
print(said)
sys.exit(0 if answer.status == http.client.OK else 1)
