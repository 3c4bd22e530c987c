"""Every alert fires and does not fire, has its page, and asks only for what exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from cli import catalogue
from cli.main import app
from monitoring.families import ALL
from tests.monitoring.alerts import NAMES, PROMETHEUS, ROOT, RULES, RUNBOOKS, UNIT_TESTS, Alert, alerts
from tests.monitoring.tools import need

HEADINGS = ("What it means", "What is at stake", "First look", "What to do", "When it resolves")
PROMISED = {
    "UnexpectedShortPosition",
    "PositionAtBrokerNotInDatabase",
    "PositionQuantityMismatch",
    "ExposureOverLimit",
    "PositionCountOverLimit",
    "FillNotApplied",
    "StaleTicksForOpenPosition",
    "PositionUnprotected",
    "StreamStuck",
    "OrderIntentMismatch",
    "CloseRejected",
    "CloseWaitsForOpen",
    "GateBlind",
    "ActorDown",
    "ReconcileStale",
    "DeadLetters",
    "UndecidedRecommendations",
    "AccountNotActive",
    "MixedVersions",
    "Watchdog",
}


def run(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, check=False)


def test_no_promised_alert_is_missing():
    assert PROMISED <= set(NAMES)
    assert len(NAMES) == len(set(NAMES))


def test_the_unit_tests_of_the_rules_pass():
    """Each alert fires for its cause, does not fire for its neighbours', and resolves."""
    done = run(need("promtool"), "test", "rules", UNIT_TESTS)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("mutant", ["vector(1)", "vector(1) > 2"], ids=["always", "never"])
@pytest.mark.parametrize("alert", [a for a in alerts() if a.name != "Watchdog"], ids=lambda a: a.name)
def test_the_unit_tests_know_a_broken_rule(tmp_path: Path, alert: Alert, mutant: str):
    """A rule that always fires, or never, does not pass."""
    promtool = need("promtool")
    rules = RULES.read_text(encoding="utf-8")
    text = re.sub(r"(?ms)expr: .*?(?=^        \w+:)", f"expr: {mutant}\n", alert.text, count=1)
    broken = rules.replace(alert.text, text)
    assert broken != rules
    (tmp_path / "alerts.yml").write_text(broken, encoding="utf-8")
    (tmp_path / "tests.yml").write_text(UNIT_TESTS.read_text(encoding="utf-8"), encoding="utf-8")

    assert 0 == run(promtool, "check", "rules", tmp_path / "alerts.yml").returncode
    assert 1 == run(promtool, "test", "rules", tmp_path / "tests.yml").returncode


def test_the_configurations_are_in_order():
    """Prometheus and Alertmanager would load them."""
    checked = [
        run(need("promtool"), "check", "config", PROMETHEUS / "prometheus.yml"),
        run(need("amtool"), "check-config", ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"),
    ]

    assert [0, 0] == [done.returncode for done in checked], [done.stdout + done.stderr for done in checked]


@pytest.mark.parametrize(("severity", "receiver"), [("page", "pages"), ("ticket", "tickets"), ("none", "watchdog")])
def test_a_severity_reaches_its_receiver(severity: str, receiver: str):
    """Pages are not grouped with tickets."""
    file = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"
    done = run(need("amtool"), "config", "routes", "test", f"--config.file={file}", f"severity={severity}")

    assert receiver == done.stdout.strip()


@pytest.mark.parametrize("alert", alerts(), ids=lambda a: a.name)
def test_an_alert_has_a_unit_test_that_fires_and_one_that_does_not(alert: Alert):
    """The Watchdog has no other side."""
    tests = UNIT_TESTS.read_text(encoding="utf-8")
    mine = tests.split(f'expr: ALERTS{{alertname="{alert.name}"')[1:]

    assert any(part.partition("- expr")[0].count("value: 1") for part in mine)
    assert alert.name == "Watchdog" or any("exp_samples: []" in part.partition("- expr")[0] for part in mine)


@pytest.mark.parametrize("alert", alerts(), ids=lambda a: a.name)
def test_an_alert_has_its_page(alert: Alert):
    """The page says the five things that somebody needs who was just woken."""
    page = ROOT / alert.runbook

    assert RUNBOOKS / f"{alert.name}.md" == page
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {alert.name}\n")
    assert list(HEADINGS) == re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [] == [h for h in HEADINGS if not text.partition(f"## {h}\n")[2].partition("\n## ")[0].strip()]


def test_every_page_has_its_alert():
    assert {f"{name}.md" for name in NAMES} == {page.name for page in RUNBOOKS.glob("*.md")}


def test_the_pages_name_commands_that_exist():
    """A page that sends somebody to a command that is not there costs the minute that counts."""
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = {
        word
        for page in RUNBOOKS.glob("*.md")
        for word in re.findall(r"`gapless ([\w-]+)", page.read_text(encoding="utf-8"))
    }

    assert named
    assert set() == named - known


@pytest.mark.parametrize("alert", alerts(), ids=lambda a: a.name)
def test_an_alert_asks_for_metrics_that_exist(alert: Alert):
    """A name with a typing error would be silent for ever."""
    assert set() == alert.metrics - {family.name for family in ALL}
    assert alert.metrics or alert.name == "Watchdog"
    assert alert.severity in ("page", "ticket", "none")


def test_every_metric_is_documented():
    """docs/metrics.md is made from the code; write it again with `python -m cli.catalogue docs`."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

    assert catalogue.metrics_page() == page
    assert [] == [family.name for family in ALL if f"| `{family.name}` |" not in page]
