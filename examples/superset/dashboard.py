"""Makes a dashboard of the reports in Superset, through its REST API.

    dashboard.py http://127.0.0.1:8088 postgresql+psycopg2://sql_tools:…@db.internal/coworking

Each chart shows what a function or a view says: see docs/postgresql.md. SUPERSET_USER and SUPERSET_PASSWORD log in.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

ZONE = os.environ.get("ZONE", "Europe/Berlin")

# What is shown: a name, the SQL, the kind of chart, and its settings.
CHARTS: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "Visits by day, last 30 days",
        f"SELECT * FROM report_daily_usage(CURRENT_DATE - 29, CURRENT_DATE, '{ZONE}', 'USED_AT', with_visitors => FALSE)",
        "echarts_timeseries_bar",
        {"x_axis": "date", "time_grain_sqla": "P1D", "metrics": ["visits"], "groupby": [], "row_limit": 1000, "show_legend": False},
    ),
    (
        "Members by month",
        f"SELECT * FROM report_membership('MONTH', CURRENT_DATE - 364, zone => '{ZONE}', basis => 'USED_AT')",
        "echarts_timeseries_line",
        {
            "x_axis": "date",
            "time_grain_sqla": "P1M",
            "metrics": ["active", "first_visits", "stopped"],
            "groupby": [],
            "row_limit": 1000,
            "show_legend": True,
        },
    ),
    (
        "Visits by weekday and hour, last 90 days",
        "SELECT hour, visits, (ARRAY['1 Mon', '2 Tue', '3 Wed', '4 Thu', '5 Fri', '6 Sat', '7 Sun'])[weekday] AS day "
        f"FROM report_heatmap(CURRENT_DATE - 89, CURRENT_DATE, '{ZONE}', 'USED_AT')",
        "heatmap_v2",
        {
            "x_axis": "hour",
            "groupby": "day",
            "metric": "visits",
            "sort_x_axis": "alpha_asc",
            "sort_y_axis": "alpha_desc",
            "linear_color_scheme": "blue_white_yellow",
            "normalize_across": "heatmap",
            "legend_type": "continuous",
            "row_limit": 10000,
        },
    ),
    (
        "Members by last visit",
        f"SELECT * FROM report_segments(zone => '{ZONE}')",
        "table",
        {"query_mode": "raw", "all_columns": ["segment", "members", "active_members"], "row_limit": 10},
    ),
]


class Superset:
    def __init__(self, address: str) -> None:
        self.address, self.headers = address, {"Content-Type": "application/json"}
        login = {"username": os.environ["SUPERSET_USER"], "password": os.environ["SUPERSET_PASSWORD"], "provider": "db"}
        self.headers["Authorization"] = f"Bearer {self.ask('POST', 'security/login', login)['access_token']}"

    def ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/api/v1/{path}", data, self.headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")

    def make(self, what: str, body: dict[str, Any]) -> int:
        return int(self.ask("POST", f"{what}/", body)["id"])


def metric(column: str) -> dict[str, Any]:
    return {"expressionType": "SIMPLE", "column": {"column_name": column}, "aggregate": "SUM", "label": column}


def layout(charts: dict[int, str]) -> dict[str, Any]:
    """Two charts in a row."""
    rows = [list(charts)[at : at + 2] for at in range(0, len(charts), 2)]
    grid: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [f"ROW-{n}" for n in range(len(rows))], "parents": ["ROOT_ID"]},
    }
    for number, row in enumerate(rows):
        parents = ["ROOT_ID", "GRID_ID", f"ROW-{number}"]
        children = [f"CHART-{chart}" for chart in row]
        meta = {"background": "BACKGROUND_TRANSPARENT"}
        grid[f"ROW-{number}"] = {"type": "ROW", "id": f"ROW-{number}", "children": children, "parents": parents[:2], "meta": meta}
        for chart in row:
            meta = {"chartId": chart, "width": 6, "height": 50, "sliceName": charts[chart]}
            grid[f"CHART-{chart}"] = {"type": "CHART", "id": f"CHART-{chart}", "children": [], "parents": parents, "meta": meta}
    return grid


def main() -> None:
    address, database = sys.argv[1:]
    superset = Superset(address)
    source = superset.make("database", {"database_name": "Coworking", "sqlalchemy_uri": database})
    charts: dict[int, str] = {}
    for name, sql, kind, settings in CHARTS:
        dataset = superset.make("dataset", {"database": source, "schema": "public", "table_name": name, "sql": sql})
        params = {**settings, "viz_type": kind, "datasource": f"{dataset}__table", "adhoc_filters": []}
        if "metrics" in params:
            params["metrics"] = [metric(column) for column in params["metrics"]]
        if "metric" in params:
            params["metric"] = metric(params["metric"])
        chart = {"slice_name": name, "viz_type": kind, "datasource_id": dataset, "datasource_type": "table", "params": json.dumps(params)}
        charts[superset.make("chart", chart)] = name
    dashboard = {"dashboard_title": "Coworking", "published": True, "position_json": json.dumps(layout(charts))}
    number = superset.make("dashboard", dashboard)
    for chart in charts:
        superset.ask("PUT", f"chart/{chart}", {"dashboards": [number]})
    print(f"{address}/superset/dashboard/{number}/")


if __name__ == "__main__":
    main()
