-- The PostgreSQL views in SQLite's words. Times are UTC text, 'YYYY-MM-DD HH:MM:SS[.ffffff]'.
CREATE VIEW report_daily_usage AS
SELECT substr(created_at, 1, 10) AS date,
    substr(created_at, 1, 10) || ' 00:00:00' AS starts_at,
    count(used_at) AS visits,
    count(*) AS tokens_issued,
    count(*) - count(used_at) AS tokens_unused,
    CAST(count(used_at) AS REAL) / count(*) AS conversion_rate,
    count(DISTINCT user_id) FILTER (WHERE used_at IS NOT NULL) AS unique_visitors,
    substr(created_at, 1, 10) >= date('now') AS is_partial
FROM tokens
WHERE created_at IS NOT NULL
GROUP BY substr(created_at, 1, 10);
CREATE VIEW report_user_visits AS
SELECT counted.user_id,
    counted.visits,
    counted.tokens_issued,
    counted.tokens_unused,
    counted.first_visit_at,
    counted.last_visit_at,
    users.joined_at,
    users.is_active
FROM (
    SELECT user_id,
        count(used_at) AS visits,
        count(*) AS tokens_issued,
        count(*) - count(used_at) AS tokens_unused,
        min(used_at) AS first_visit_at,
        max(used_at) AS last_visit_at
    FROM tokens
    GROUP BY user_id
) AS counted
LEFT JOIN users ON users.id = counted.user_id;
