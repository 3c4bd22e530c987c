"""Write every dashboard into ``dashboards``, beside this file or in the folder that is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.grafana import pipeline, safety

FOLDER: Final = Path(__file__).parent / "dashboards"
DASHBOARDS: Final[dict[str, Callable[[], Dashboard]]] = {"safety": safety.dashboard, "pipeline": pipeline.dashboard}


def encoded(dashboard: Callable[[], Dashboard]) -> str:
    """Return the file of a dashboard, as Grafana reads it."""
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard().build()) + "\n"


def write(folder: Path) -> None:
    for name, dashboard in DASHBOARDS.items():
        (folder / f"{name}.json").write_text(encoded(dashboard), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
