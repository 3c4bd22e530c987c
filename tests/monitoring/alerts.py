"""The alert rules as tests see them: read from our own files, whose shape is ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "monitoring" / "prometheus"
RULES: Final = PROMETHEUS / "alerts.yml"
UNIT_TESTS: Final = PROMETHEUS / "tests.yml"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"

_BLOCK: Final = re.compile(r"^      - alert: (\w+)\n(.*?)(?=^      - alert: |^  - name: |\Z)", re.MULTILINE | re.DOTALL)
_EXPR: Final = re.compile(r"        expr: (?:\|2\n)?(.*?)(?=^        \w+:)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Alert:
    name: str
    text: str

    @property
    def expr(self) -> str:
        found = _EXPR.search(self.text)
        assert found, self.name
        return found[1].strip()

    @property
    def metrics(self) -> set[str]:
        """The names of our metrics in its expression."""
        return set(re.findall(r"\bgapless_\w+", self.expr))

    @property
    def severity(self) -> str:
        found = re.search(r"severity: (\w+)", self.text)
        return found[1] if found else ""

    @property
    def runbook(self) -> str:
        found = re.search(r"runbook_url: (\S+)", self.text)
        return found[1] if found else ""


def alerts() -> list[Alert]:
    return [Alert(name, text) for name, text in _BLOCK.findall(RULES.read_text(encoding="utf-8"))]


NAMES: Final = [alert.name for alert in alerts()]
