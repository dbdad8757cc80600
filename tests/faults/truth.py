"""The data in the database and the right answer of every report, as functions of the number of written door codes.

The first door codes exist from the beginning. Then the writer adds one after the other, each a visit. A right answer is
equal to `Question.right(n)`, where n is the number written at that time."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

MEMBERS, FIRST, DAYS = 20, 600, 14
BEGIN = date(2024, 3, 1)


def member(token: int) -> int:
    return 1 + token * 7 % MEMBERS


def day(token: int) -> date:
    return BEGIN + timedelta(days=token * 5 % DAYS)


def is_used(token: int) -> bool:
    return token >= FIRST or token % 3 != 0


def row(token: int) -> str:
    """The row of a door code in SQL, the same for both databases."""
    at = f"'{day(token)} 12:00:00'"
    return f"({token + 1}, {member(token)}, '------', {at}, {at if is_used(token) else 'NULL'})"


def rows() -> str:
    """The members and the first door codes."""
    members = ", ".join(f"({each}, 'First', 'Last', '2023-01-01 00:00:00', true)" for each in range(1, MEMBERS + 1))
    return (
        f"INSERT INTO users (id, first_name, last_name, joined_at, is_active) VALUES {members}; "
        + f"INSERT INTO tokens (id, user_id, token, created_at, used_at) VALUES {', '.join(map(row, range(FIRST)))}"
    )


def insert(number: int) -> str:
    """SQL for the writer's n-th door code. It may be sent again when it is unknown whether it was committed."""
    return (
        "INSERT INTO tokens (id, user_id, token, created_at, used_at) "
        f"VALUES {row(FIRST + number - 1)} ON CONFLICT (id) DO NOTHING"
    )


@dataclass(frozen=True)
class Question:
    """A request to `path`, with a GraphQL document or without one."""

    name: str
    path: str
    document: str | None
    right: Callable[[int], Any]
    """The right answer for the number of door codes that the writer has written."""
    written: Callable[[Any], int]
    """The number of door codes that the writer had written, according to an answer."""


FIRST_VISITS = sum(map(is_used, range(FIRST)))


@lru_cache(4096)
def daily_usage(written: int) -> list[dict[str, Any]]:
    issued: Counter[date] = Counter()
    visits: Counter[date] = Counter()
    members: dict[date, set[int]] = {}
    for token in range(FIRST + written):
        issued[day(token)] += 1
        if is_used(token):
            visits[day(token)] += 1
            members.setdefault(day(token), set()).add(member(token))
    return [
        {
            "date": str(each),
            "visits": visits[each],
            "tokensIssued": issued[each],
            "uniqueVisitors": len(members.get(each, ())),
        }
        for each in sorted(issued)
    ]


@lru_cache(4096)
def user_visits(written: int) -> list[dict[str, int]]:
    issued = Counter(map(member, range(FIRST + written)))
    visits = Counter(member(token) for token in range(FIRST + written) if is_used(token))
    return [{"userId": each, "visits": visits[each], "tokensIssued": issued[each]} for each in sorted(issued)]


def _both(written: int) -> dict[str, Any]:
    totals = {"visits": FIRST_VISITS + written}
    return {"dailyUsage": daily_usage(written), "userVisits": {"nodes": user_visits(written), "totals": totals}}


def legacy_days(written: int) -> dict[str, int]:
    return {each["date"]: each["visits"] for each in daily_usage(written) if each["visits"]}


def _legacy_members(written: int) -> dict[str, Any]:
    joined = "2023-01-01 00:00:00"
    return {
        str(each["userId"]): {"joined_at": joined, "visits": each["tokensIssued"]} for each in user_visits(written)
    }


DAILY = "dailyUsage { date visits tokensIssued uniqueVisitors }"
MEMBER = "userVisits(orderBy: {field: USER_ID, direction: ASC}) { nodes { userId visits tokensIssued } totals { visits } }"

QUESTIONS = [
    Question(
        "dailyUsage",
        "/graphql",
        f"{{ {DAILY} }}",
        lambda written: {"dailyUsage": daily_usage(written)},
        lambda data: sum(each["visits"] for each in data["dailyUsage"]) - FIRST_VISITS,
    ),
    # Two reports in one request read one snapshot, so both must fit the same number.
    Question(
        "dailyUsage, userVisits",
        "/graphql",
        f"{{ {DAILY} {MEMBER} }}",
        _both,
        lambda data: data["userVisits"]["totals"]["visits"] - FIRST_VISITS,
    ),
    Question(
        "the legacy daily usage",
        "/api/reports/daily_usage",
        None,
        legacy_days,
        lambda data: sum(data.values()) - FIRST_VISITS,
    ),
    Question(
        "the legacy user visits",
        "/api/reports/user_visits",
        None,
        _legacy_members,
        lambda data: sum(each["visits"] for each in data.values()) - FIRST,
    ),
]
