"""Rows 13 and 15: every report, with every filter, over 30 days, a year and all time. With the rollup, each answer is
compared with the one from the door codes, except where that would take minutes."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from bench import scale
from bench.cluster import Cluster
from bench.gateway import Gateway
from bench.rows_reports import DIRECT, PLAIN
from bench.settings import HUGE, Row, Settings, Unmeasurable, mebibytes, median, milliseconds, say, tokens

# $F is the filter, $A are the other arguments.
REPORTS = {
    "`dailyUsage`": "{ dailyUsage($A, filter: {$F}) { date visits tokensIssued tokensUnused } }",
    "`dailyUsage`, unique visitors": "{ dailyUsage($A, filter: {$F}) { date visits uniqueVisitors } }",
    "`usage` by week, totals, distinct visitors, previous": (
        "{ usage($A, granularity: WEEK, filter: {$F}) { buckets { start visits uniqueVisitors }"
        " totals { visits uniqueVisitors } $P } }"
    ),
    "`heatmap`": "{ heatmap($A, filter: {$F}) { cells { visits average } } }",
    "`activeUsers`": "{ activeUsers($A, filter: {$F}) { date daily weekly monthly } }",
    "`retention` by first visit": "{ retention(anchor: FIRST_VISIT, $A, filter: {$F}) { label members periods { active } } }",
    "`retention` by joining": "{ retention(anchor: JOINED_AT, $A, filter: {$F}) { label members periods { active } } }",
    "`tokenFunnel`": "{ tokenFunnel($Z, filter: {$F}) { issued used timeToUse { median p90 p99 } } }",
    "`frequency`": "{ frequency($A, filter: {$F}) { visits members } }",
    "`userVisits`, the 100 with most visits": (
        "{ userVisits(first: 100, orderBy: {field: VISITS, direction: DESC}, filter: {$V $F}) {"
        " totalCount nodes { userId visits tokensIssued rank } } }"
    ),
}
FILTERS = {
    "no condition": "",
    "active members": "isActive: true",
    "members who joined in a half-year": 'joinedFrom: "$J", joinedTo: "$K"',
    "1,000 members": "userIds: [" + ", ".join(str(id) for id in range(1, 2001, 2)) + "]",
    "weekends": "weekdays: [SATURDAY, SUNDAY]",
    "by time of use": "",
    "Asia/Kathmandu": "",
}
# Conditions that a report does not have.
WITHOUT = {
    "retention": ("weekends", "members who joined in a half-year"),
    "userVisits": ("weekends",),
    "tokenFunnel": ("by time of use",),
}


@dataclass(frozen=True)
class Span:
    """A range, the bar of any question about it, and where there is one, the bar of counts by day without condition."""

    name: str
    days: int | None
    bar: float
    additive: float | None = None


SPANS = [Span("30 days", 30, 0.02), Span("a year", 365, 0.1), Span("all time", None, 0.25, 0.015)]
# At most four times as long for ten times as many door codes.
HUGE_SPANS = [Span(span.name, span.days, 4 * span.bar, span.additive and 4 * span.additive) for span in SPANS]


def every(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    if not settings.has_rollup:
        raise Unmeasurable("the binary has no `rollup`")
    for amount in (settings.medium, settings.large):
        database = cluster.database(amount, rollup=True)
        last = date.fromisoformat(cluster.last_day(database))
        with (
            Gateway(settings, cluster.url(database), **PLAIN) as kept,
            Gateway(settings, cluster.url(database), **DIRECT) as direct,
        ):
            yield from measured(settings, kept, direct, SPANS, last, amount)


def huge(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    """The same questions about a hundred million tokens of a million members; nothing is compared."""
    database = cluster.database(HUGE, rollup=True)
    last = date.fromisoformat(cluster.last_day(database))
    with Gateway(settings, cluster.url(database), **PLAIN) as gateway:
        yield from measured(settings, gateway, None, HUGE_SPANS, last, HUGE)
        peak = gateway.memory("VmHWM")
        yield Row(f"peak memory of the gateway meanwhile, {tokens(HUGE)}", mebibytes(peak), "", "at most 128 MiB", peak <= 2**27)


def measured(
    settings: Settings, kept: Gateway, direct: Gateway | None, spans: list[Span], last: date, amount: int, engine: str = ""
) -> Iterator[Row]:
    what = f"{tokens(amount)}{engine and ', '}{engine}"
    kept.ask("{ __typename }")
    # After its start, the gateway looks for the rollup.
    time.sleep(2)
    for report, document in REPORTS.items():
        for span in spans:
            say(f"{report}, {span.name}, {what}")
            times, compared = {}, 0
            for condition, written in FILTERS.items():
                if condition in WITHOUT.get(report.split("`")[1], ()):
                    continue
                query = question(settings, document, condition, written, span, last)
                times[condition] = median(kept.quick(query, settings.samples))
                # From the door codes, the others would take minutes.
                if direct and (condition == "no condition" or span.days and (span.days <= 30 or not engine)):
                    compared += 1
                    if json.dumps(kept.ask(query)) != json.dumps(direct.ask(query)):
                        raise RuntimeError(f"{query}: the rollup's answer is not the tokens'")
            slowest = max(times, key=lambda condition: times[condition])
            if not engine:
                scale.keep(settings, report, span.name, amount, times["no condition"], times[slowest])
            yield Row(
                f"{report}, {span.name}, {what}" + (f"; {compared} of {len(times)} compared" if direct else ""),
                f"{milliseconds(times['no condition'])}, at most {milliseconds(times[slowest])}: {slowest}",
                "",
                f"at most {milliseconds(span.bar)}",
                times[slowest] <= span.bar,
            )
            if span.additive and report == "`dailyUsage`":
                yield Row(
                    f"the same, without condition, {what}",
                    milliseconds(times["no condition"]),
                    "",
                    f"at most {milliseconds(span.additive)}",
                    times["no condition"] <= span.additive,
                )


def question(settings: Settings, document: str, condition: str, written: str, span: Span, last: date) -> str:
    zone = "Asia/Kathmandu" if condition == "Asia/Kathmandu" else "UTC"
    basis = "USED_AT" if condition == "by time of use" else "ISSUED_AT"
    first = last - timedelta(days=settings.days)
    bounds = f'from: "{last - timedelta(days=span.days - 1)}", to: "{last}"' if span.days else ""
    values = {
        "$F": f"{bounds} {written}",
        "$A": f'timeZone: "{zone}", basis: {basis}',
        "$Z": f'timeZone: "{zone}"',
        "$V": f'timeZone: "{zone}", basis: {basis}',
        "$P": "previous { totals { visits } }" if span.days else "",
        "$J": str(first - timedelta(days=300)),
        "$K": str(first - timedelta(days=120)),
    }
    for name, value in values.items():
        document = document.replace(name, value)
    return document
