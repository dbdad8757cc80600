-- The reports in UTC with their default arguments, for tools that speak only SQL. A view reads with the
-- rights of its owner: whoever may read it needs none on the tables. `CREATE` alone: nothing is replaced.
CREATE VIEW report_daily_usage AS
SELECT created_at::date AS date,
    created_at::date::timestamp AT TIME ZONE 'UTC' AS starts_at,
    count(used_at) AS visits,
    count(*) AS tokens_issued,
    count(*) - count(used_at) AS tokens_unused,
    count(used_at)::float8 / count(*) AS conversion_rate,
    count(DISTINCT user_id) FILTER (WHERE used_at IS NOT NULL) AS unique_visitors,
    created_at::date >= (now() AT TIME ZONE 'UTC')::date AS is_partial
FROM tokens
WHERE created_at IS NOT NULL
GROUP BY created_at::date;

COMMENT ON VIEW report_daily_usage IS
    'Visits and tokens per calendar day in UTC: one row for each day on which a token was issued. No order of its own.';
COMMENT ON COLUMN report_daily_usage.date IS
    'The day, in UTC. Tokens count on the day of their issue.';
COMMENT ON COLUMN report_daily_usage.starts_at IS
    'The instant at which the day starts: midnight in UTC. Tools show it in the time zone that is set for them.';
COMMENT ON COLUMN report_daily_usage.visits IS
    'Number of tokens issued on this day that were used: visits, on whichever day the token was used.';
COMMENT ON COLUMN report_daily_usage.tokens_issued IS
    'Number of tokens issued on this day, used or not.';
COMMENT ON COLUMN report_daily_usage.tokens_unused IS
    'Number of tokens issued on this day that were never used so far.';
COMMENT ON COLUMN report_daily_usage.conversion_rate IS
    'Visits per issued token, from 0 to 1. Over several days divide sum(visits) by sum(tokens_issued), rather than averaging.';
COMMENT ON COLUMN report_daily_usage.unique_visitors IS
    'Number of different members among the visits. Do not add it up: a member who comes on two days counts on both.';
COMMENT ON COLUMN report_daily_usage.is_partial IS
    'True while the day in UTC is not over, and on days to come: its numbers still grow.';

CREATE VIEW report_user_visits AS
SELECT counted.user_id,
    counted.visits,
    counted.tokens_issued,
    counted.tokens_unused,
    counted.first_visit_at,
    counted.last_visit_at,
    users.joined_at AT TIME ZONE 'UTC' AS joined_at,
    users.is_active
FROM (
    SELECT user_id,
        count(used_at) AS visits,
        count(*) AS tokens_issued,
        count(*) - count(used_at) AS tokens_unused,
        min(used_at) AT TIME ZONE 'UTC' AS first_visit_at,
        max(used_at) AT TIME ZONE 'UTC' AS last_visit_at
    FROM tokens
    GROUP BY user_id
) AS counted
LEFT JOIN users ON users.id = counted.user_id;

COMMENT ON VIEW report_user_visits IS
    'Members with their visits, of all time: one row for each member to whom a token was ever issued. No order of its own.';
COMMENT ON COLUMN report_user_visits.user_id IS
    'The member''s id.';
COMMENT ON COLUMN report_user_visits.visits IS
    'Number of tokens used: visits.';
COMMENT ON COLUMN report_user_visits.tokens_issued IS
    'Number of tokens issued to the member, used or not.';
COMMENT ON COLUMN report_user_visits.tokens_unused IS
    'Number of tokens issued to the member and never used so far.';
COMMENT ON COLUMN report_user_visits.first_visit_at IS
    'The instant of the earliest visit, kept in UTC; null without any.';
COMMENT ON COLUMN report_user_visits.last_visit_at IS
    'The instant of the latest visit, kept in UTC; null without any.';
COMMENT ON COLUMN report_user_visits.joined_at IS
    'The instant at which the member joined, kept in UTC; null where the member''s own row is gone.';
COMMENT ON COLUMN report_user_visits.is_active IS
    'Whether the membership is active now; null where the member''s own row is gone.';
