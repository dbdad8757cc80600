#!/usr/bin/env python3
"""Reads visits by day as CSV, and who comes back by GraphQL, into data frames of pandas.

    pip install pandas
    python3 examples/pandas_report.py

GATEWAY is the gateway's address; GATEWAY_KEY an API key, where the gateway wants one.
"""

import json
import os
import sys
from io import BytesIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pandas as pd

GATEWAY = os.environ.get("GATEWAY", "http://localhost:5153")
TIME_ZONE = "Europe/Berlin"
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

RETENTION = """
query Retention($timeZone: TimeZone!) {
  retention(cohort: MONTH, periods: 3, timeZone: $timeZone) {
    label
    members
    periods { index rate isPartial }
  }
}
"""


def ask(path: str, body: dict | None = None) -> bytes:
    headers = {"content-type": "application/json", "accept": "application/graphql-response+json"} if body else {}
    if key := os.environ.get("GATEWAY_KEY"):
        headers["x-api-key"] = key
    request = Request(GATEWAY + path, data=json.dumps(body).encode() if body else None, headers=headers)
    try:
        with urlopen(request, timeout=30) as response:
            return response.read()
    except HTTPError as error:
        # The body says what is wrong, and with which argument.
        sys.exit(f"{error.code}: {error.read().decode()}")
    except URLError as error:
        sys.exit(f"{GATEWAY} does not answer: {error.reason}")


def report(name: str, **parameters: str) -> pd.DataFrame:
    query = urlencode(parameters | {"format": "csv", "time_zone": TIME_ZONE})
    return pd.read_csv(BytesIO(ask(f"/api/reports/{name}?{query}")))


def graphql(query: str, **variables: object) -> dict:
    answer = json.loads(ask("/graphql", {"query": query, "variables": variables}))
    # Some fields may be answered while others are not: then these are null.
    if errors := answer.get("errors"):
        sys.exit("\n".join(error["message"] for error in errors))
    return answer["data"]


days = report("usage", granularity="DAY", range="LAST_90_DAYS", gaps="ZERO")
days["label"] = pd.to_datetime(days["label"])
# Today is not over: leave it out of averages.
whole = days[~days["is_partial"]]
by_weekday = whole.groupby(whole["label"].dt.day_name(), sort=False)["visits"].agg(["mean", "max"]).round(1)
print(f"Visits by day of the week, {whole['label'].min():%Y-%m-%d} to {whole['label'].max():%Y-%m-%d}")
print(by_weekday.rename_axis("weekday").reindex(WEEKDAYS), end="\n\n")

cohorts = graphql(RETENTION, timeZone=TIME_ZONE)["retention"]
periods = pd.json_normalize(cohorts, "periods", ["label", "members"])
# Columns count months since the members joined; what has not begun is empty.
rates = periods.pivot(index=["label", "members"], columns="index", values="rate").astype(float)
print("Share of the members who came, by month of joining and months since")
print(rates.map(lambda rate: "" if pd.isna(rate) else f"{rate:.0%}"))
