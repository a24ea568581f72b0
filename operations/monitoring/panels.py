"""Panels of the dashboards, of the Grafana Foundation SDK."""

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import DatasourceVariable
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT, WIDTH = 8, 8
"""Rows and columns of a panel; a dashboard has 24 columns."""
WINDOW = "$__rate_interval"


def lines(
    title: str, description: str, unit: str, *queries: tuple[str, str], stacked: bool = False
) -> timeseries.Panel:
    """Return a panel of time series.

    Args:
        title: Title of the panel.
        description: What it shows.
        unit: One of Grafana's units, such as `s`, `reqps` or `percentunit`.
        queries: Expressions, each with the legend of its series.
        stacked: Whether the series are added up.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .height(HEIGHT)
        .span(WIDTH)
        .legend(
            common.VizLegendOptions()
            .show_legend(show_legend=True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(30)
    for ref, (expression, legend) in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_query(ref, expression, legend))
    return panel


def value(title: str, description: str, unit: str, expression: str, legend: str = "") -> stat.Panel:
    """Return a panel with the newest value of each series."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .height(HEIGHT // 2)
        .span(WIDTH // 2)
        .with_target(_query("A", expression, legend))
    )


def _query(ref: str, expression: str, legend: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(ref).expr(expression)
    return query.legend_format(legend) if legend else query


def board(name: str, title: str, description: str) -> dashboard.Dashboard:
    """Return an empty dashboard with a variable for the data source."""
    return (
        dashboard.Dashboard(title)
        .uid(f"product-classifier-{name}")
        .description(description)
        .tags(["product-classifier"])
        .refresh("30s")
        .time("now-6h", "now")
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
