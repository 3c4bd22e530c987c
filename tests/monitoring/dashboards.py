"""The dashboards as tests see them: the files that Grafana is given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.monitoring.alerts import ROOT

GRAFANA: Final = ROOT / "monitoring" / "grafana"
FILES: Final = sorted((GRAFANA / "dashboards").glob("*.json"))
_OURS: Final = re.compile(r"\bgapless_\w+")


@dataclass(frozen=True, slots=True)
class Panel:
    dashboard: str
    shown: dict[str, Any]

    @property
    def name(self) -> str:
        where = self.shown["gridPos"]
        return f"{self.dashboard}: {self.shown['title']} ({where.get('x', 0)}, {where.get('y', 0)})"

    @property
    def exprs(self) -> list[str]:
        return [target["expr"] for target in self.shown["targets"]]

    @property
    def defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = self.shown["fieldConfig"]["defaults"]
        return found


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def panels() -> list[Panel]:
    """Every panel that asks for something: rows are headings."""
    return [Panel(file.stem, p) for file in FILES for p in read(file)["panels"] if p["type"] != "row"]


def exprs(rate_interval: str = "20s") -> Iterator[tuple[str, str]]:
    """Every expression with its panel's name, as Prometheus is asked when all accounts are chosen."""
    for panel in panels():
        for expr in panel.exprs:
            yield panel.name, expr.replace("$account", ".+").replace("$__rate_interval", rate_interval)


def metrics_used() -> set[str]:
    """The names of our metrics in all expressions; of a histogram, the histogram's."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for _, expr in exprs() for name in _OURS.findall(expr)}
