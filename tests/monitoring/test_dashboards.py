"""The dashboards are what their code says, ask only for what exists, and never take unknown for nothing."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.families import ALL
from monitoring.grafana.__main__ import DASHBOARDS, encoded
from tests.monitoring.alerts import NAMES, ROOT, RUNBOOKS, alerts
from tests.monitoring.dashboards import FILES, GRAFANA, Panel, exprs, metrics_used, panels, read
from tests.monitoring.tools import need

each_file = pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
each_panel = pytest.mark.parametrize("panel", panels(), ids=lambda p: p.name)
#: What an operator asks first, in the order of the top row.
TOP_ROW = (
    "Pages ringing",
    "State can be read",
    "Short positions",
    "Books differ",
    "Limit in use",
    "Fill not in its position",
    "Nobody watches",
    "Oldest price",
)


@each_file
def test_a_file_is_what_its_code_makes(file: Path):
    """Write them again with `python -m monitoring.grafana`."""
    assert encoded(DASHBOARDS[file.stem]) == file.read_text(encoding="utf-8")


def test_every_dashboard_has_its_file():
    assert {*DASHBOARDS} == {file.stem for file in FILES}


@each_file
def test_grafana_knows_every_field(file: Path):
    """Read by the kit's models and written again: a field that they do not know would be lost."""
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(read(file))))

    assert again == read(file)


def test_the_top_row_asks_whether_all_is_safe():
    """Eight answers in the first row, loud, each with its runbook."""
    row = [p for p in panels() if p.dashboard == "safety" and p.shown["gridPos"].get("y", 0) == 0]

    assert list(TOP_ROW) == [p.shown["title"] for p in row]
    assert {"background"} == {p.shown["options"]["colorMode"] for p in row}
    assert all(p.shown["links"] for p in row)


@each_panel
def test_a_panel_says_what_it_shows(panel: Panel):
    """A description, a unit, thresholds, and a word for what nobody knows."""
    assert panel.shown["description"].endswith((".", ".md"))
    assert panel.defaults["unit"]
    assert panel.defaults["thresholds"]["steps"]
    assert "unknown" in panel.defaults["noValue"]
    assert panel.exprs
    assert {"${datasource}"} == {t["datasource"]["uid"] for t in panel.shown["targets"]}


@pytest.mark.parametrize("panel", [p for p in panels() if p.shown["type"] == "stat"], ids=lambda p: p.name)
def test_a_number_that_is_no_number_is_unknown(panel: Panel):
    """Neither absence nor NaN is shown as a number, and neither is green."""
    assert "unknown" == panel.defaults["noValue"]
    [special] = [m for m in panel.defaults["mappings"] if m["type"] == "special"]

    assert {"match": "null+nan", "result": {"text": "unknown", "color": "orange", "index": 99}} == special["options"]


@pytest.mark.parametrize("panel", [p for p in panels() if p.shown.get("links")], ids=lambda p: p.name)
def test_a_panel_leads_to_a_runbook_that_exists(panel: Panel):
    [link] = panel.shown["links"]

    assert link["title"] in NAMES
    assert f"${{runbooks}}/{link['title']}.md" == link["url"]
    assert f"Runbook: docs/runbooks/{link['title']}.md" in panel.shown["description"]


def test_every_alert_is_led_to_from_a_panel():
    """Whatever rings, somewhere its numbers stand."""
    led_to = {link["title"] for p in panels() for link in p.shown.get("links", [])}

    assert {page.stem for page in RUNBOOKS.glob("*.md")} == led_to


@each_panel
def test_rates_fit_the_scrape_and_symbols_are_few(panel: Panel):
    """A rate over a fixed time lies at another resolution; a legend by symbol or gate shows ten at most."""
    for expr, target in zip(panel.exprs, panel.shown["targets"], strict=True):
        assert len(re.findall(r"\b(?:rate|increase)\(", expr)) == expr.count("[$__rate_interval]") == expr.count("[")
        if re.search("{{(symbol|gate)}}", target.get("legendFormat", "")):
            assert "topk(10, " in expr
        if 'account=~"$account"' not in expr:
            assert not [f.name for f in ALL if "account" in f.labels and f.name in expr]


@each_panel
def test_labels_are_those_of_the_metrics(panel: Panel):
    """What is grouped by is a label of a metric that is asked for; what a legend names is left after grouping."""
    for expr, target in zip(panel.exprs, panel.shown["targets"], strict=True):
        grouped = {label.strip() for labels in re.findall(r"by \(([^)]+)\)", expr) for label in labels.split(",")}
        offered = {label for f in ALL if re.search(rf"\b{f.name}(_bucket)?\b", expr) for label in f.labels}
        named = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))

        assert grouped - {"le"} <= offered
        assert named <= (grouped or offered)


def test_every_expression_is_promql(tmp_path: Path):
    """promtool parses each as the expression of a rule."""
    rules = [{"record": f"dashboard:{n}", "expr": expr} for n, (_, expr) in enumerate(exprs())]
    file = tmp_path / "dashboards.json"
    file.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(
        [str(need("promtool")), "check", "rules", str(file)], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout + done.stderr


def test_every_metric_that_exists_is_used_and_every_metric_that_is_used_exists():
    """By a panel or by an alert; a name with a typing error would show as unknown for ever."""
    existing = {family.name for family in ALL}
    rung = {name for alert in alerts() for name in alert.metrics}

    assert set() == metrics_used() - existing
    assert set() == existing - metrics_used() - rung


def test_grafana_is_given_what_compose_mounts():
    """The folder of the dashboards, Prometheus by its service's name, and a first page that exists."""
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    dashboards = (GRAFANA / "provisioning" / "dashboards" / "gapless.yml").read_text(encoding="utf-8")
    sources = (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text(encoding="utf-8")
    scraped = (ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")

    assert "./monitoring/grafana/dashboards:/etc/gapless/dashboards:ro" in compose
    assert "path: /etc/gapless/dashboards\n" in dashboards
    assert "./monitoring/grafana/provisioning:/etc/grafana/provisioning:ro" in compose
    assert "url: http://prometheus:9090\n" in sources
    assert "\n  prometheus:\n" in compose
    assert "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: /etc/gapless/dashboards/safety.json" in compose
    assert "timeInterval: 5s" in sources
    assert "scrape_interval: 5s" in scraped
