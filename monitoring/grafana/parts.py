"""The kinds of panels, each with what every panel has: a unit, thresholds, a description, a word for unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.families import STATE

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"
UNKNOWN: Final = "unknown"
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

#: From which value on a panel has a colour; the first has none.
Steps = Sequence[tuple[float | None, str]]
NEUTRAL: Final[Steps] = ((None, BLUE),)
NONE_IS_GOOD: Final[Steps] = ((None, GREEN), (1, RED))

#: How a line is drawn whose legend says that it is a limit.
_LIMITS: Final = "/ limit$/"
_DASHED: Final = ("custom.lineStyle", {"fill": "dash", "dash": [10, 10]})
_UNFILLED: Final = ("custom.fillOpacity", 0)

#: The widest symbol of an option, in pixels.
_SYMBOL_PX: Final = 190

#: A stop that fires a second late costs money.
SLOW: Final[Steps] = ((None, GREEN), (1, RED))
#: From which age on StreamStuck rings, in seconds.
STUCK: Final[Steps] = ((None, GREEN), (30, RED))

#: Words for numbers that are answers: value to (word, colour).
Words = Mapping[str, tuple[str, str]]


def number(
    title: str,
    what: str,
    expr: str,
    *,
    unit: str = "none",
    steps: Steps = NONE_IS_GOOD,
    words: Words | None = None,
    runbook: str | None = None,
    loud: bool = False,
    span: int = 3,
) -> stat.Panel:
    """One number now. *loud* fills its field with its colour."""
    return (
        stat.Panel()
        .title(title)
        .description(_described(what, runbook))
        .datasource(SOURCE)
        .with_target(_query(expr, "A").instant())
        .unit(unit)
        .thresholds(_thresholds(steps))
        .mappings([*_words(words or {}), _unknown()])
        .no_value(UNKNOWN)
        .links(_links(runbook))
        .color_mode(kinds.BigValueColorMode.BACKGROUND if loud else kinds.BigValueColorMode.VALUE)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(4)
        .span(span)
    )


def graph(
    title: str,
    what: str,
    exprs: Mapping[str, str],
    *,
    unit: str,
    steps: Steps = NEUTRAL,
    runbook: str | None = None,
    span: int = 8,
) -> timeseries.Panel:
    """Lines over time; *exprs* are their legends and expressions. A threshold beyond the first is drawn as a line."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(_described(what, runbook))
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(_thresholds(steps))
        .no_value(UNKNOWN)
        .links(_links(runbook))
        .interval("5s")
        .line_width(1)
        .axis_soft_min(0)
        .fill_opacity(8)
        .show_points(kinds.VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .height(7)
        .span(span)
    )
    if len(steps) > 1:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    panel.override_by_regexp(_LIMITS, [models.DynamicConfigValue(*_DASHED), models.DynamicConfigValue(*_UNFILLED)])
    for ref, (legend, expr) in zip("ABCDEFGH", exprs.items(), strict=False):
        panel.with_target(_query(expr, ref).range().legend_format(legend))
    return panel


def listing(
    title: str,
    what: str,
    columns: Mapping[str, tuple[str, str]],
    *,
    hidden: Sequence[str] = (),
    no_rows: str = UNKNOWN,
    runbook: str | None = None,
    span: int = 24,
    height: int = 6,
) -> table.Panel:
    """Rows now: the labels of the series, and a column for each of *columns*: its name to (expression, unit).

    *no_rows* stands where there is none: what cannot be seen has none either.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(_described(what, runbook))
        .datasource(SOURCE)
        .unit("none")
        .thresholds(_thresholds(NEUTRAL))
        .no_value(no_rows)
        .links(_links(runbook))
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .height(height)
        .span(span)
    )
    panel.override_by_name("symbol", [models.DynamicConfigValue("custom.width", _SYMBOL_PX)])
    names = {}
    for ref, (name, (expr, unit)) in zip("ABCDEFGHIJKL", columns.items(), strict=False):
        panel.with_target(_query(expr, ref).instant().format(PromQueryFormat.TABLE))
        names["Value" if len(columns) == 1 else f"Value #{ref}"] = name
        properties = [models.DynamicConfigValue("unit", unit), models.DynamicConfigValue("noValue", UNKNOWN)]
        panel.override_by_name(name, properties)
    away = dict.fromkeys(("Time", "__name__", "instance", "job", *hidden), True)
    order = {"excludeByName": away, "indexByName": {}, "renameByName": names}
    return panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=order))


def board(uid: str, title: str, what: str, other: tuple[str, str]) -> dashboard.Dashboard:
    """An empty dashboard with the variables that all have, and a link to the *other* (uid, title)."""
    uid_there, title_there = other
    there = dashboard.DashboardLink(title_there).type(models.DashboardLinkType.LINK).url(f"/d/{uid_there}")
    return (
        dashboard.Dashboard(f"Gapless: {title}")
        .uid(uid)
        .description(what)
        .tags(["gapless"])
        .readonly()
        .timezone("browser")
        .time("now-30m", "now")
        .refresh("5s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(there.keep_time(True).include_vars(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("account")
            .label("Account")
            .datasource(SOURCE)
            .query(f"label_values({STATE.name}, account)")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".+")
            .current(models.VariableOption(text="All", value="$__all"))
        )
        .with_variable(dashboard.TextBoxVariable("runbooks").label("Runbooks at").default_value("docs/runbooks"))
    )


# ---------------------------------------------------------------- the parts


def _query(expr: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).ref_id(ref).datasource(SOURCE)


def _described(what: str, runbook: str | None) -> str:
    return what if runbook is None else f"{what}\n\nRunbook: docs/runbooks/{runbook}.md"


def _links(runbook: str | None) -> list[Builder[models.DashboardLink]]:
    if runbook is None:
        return []
    link = dashboard.DashboardLink(runbook).type(models.DashboardLinkType.LINK)
    return [link.url(f"${{runbooks}}/{runbook}.md").target_blank(True)]


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    found = [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def _words(words: Words) -> list[models.ValueMapping]:
    if not words:
        return []
    said = {
        value: models.ValueMappingResult(text=text, color=color, index=n)
        for n, (value, (text, color)) in enumerate(words.items())
    }
    return [models.ValueMap(options=said)]


def _unknown() -> models.ValueMapping:
    """No series and not a number are the same to who asks whether all is well."""
    said = models.ValueMappingResult(text=UNKNOWN, color=ORANGE, index=99)
    match = models.SpecialValueMatch.NULL_AND_NAN
    return models.SpecialValueMap(options=models.DashboardSpecialValueMapOptions(match=match, result=said))
