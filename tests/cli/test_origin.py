"""The hash of the code covers what runs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import origin


@pytest.mark.parametrize(
    ("changed", "counts"),
    [("domain/gates/data.py", True), ("migrations/v1.sql", True), ("monitoring/grafana/safety.py", False)],
)
def test_the_code_of_dashboards_is_not_the_code_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, counts: bool
):
    """A panel that is drawn otherwise is no other build: MixedVersions must not ring for it."""
    monkeypatch.setattr(origin, "_ROOT", tmp_path)
    monkeypatch.setattr(origin, "_NOT_RUN", tmp_path / "monitoring" / "grafana")
    for package in origin._PACKAGES:
        (tmp_path / package).mkdir()
    file = tmp_path / changed
    file.parent.mkdir(parents=True, exist_ok=True)
    hashes = []
    for text in ("one", "two"):
        file.write_text(text)
        hashes.append(origin.code_hash.__wrapped__())

    assert counts == (hashes[0] != hashes[1])
