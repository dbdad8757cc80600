-- Invented members and tokens, written by psql with the variables tokens, users and days. Tokens are in
-- order of their time, as a service writes them; every day has at least one where there are enough.
SELECT setseed(0.42);
-- The rows refer to members that exist: looking each up would take most of the time.
SET session_replication_role = replica;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';

INSERT INTO users (first_name, last_name, joined_at, is_active)
SELECT 'Member', n::TEXT, (now() AT TIME ZONE 'UTC')::DATE - :days - random() * INTERVAL '365 days', random() < 0.9
FROM generate_series(1, :users) AS n;

-- An index is built faster than kept; the definition is the schema's own.
SELECT indexdef AS definition FROM pg_indexes WHERE indexname = 'tokens_user_id_token_used_at_index' \gset
DROP INDEX tokens_user_id_token_used_at_index;

INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT user_id, '------', created_at, CASE WHEN used_at <= now() AT TIME ZONE 'UTC' THEN used_at END
FROM (
    SELECT created_at,
           -- A few members come often, most of them now and then.
           1 + floor(:users * power(random(), 3))::INTEGER AS user_id,
           CASE
               WHEN random() < 0.66 THEN created_at + random() * INTERVAL '1 hour'
               WHEN random() < 0.12 THEN created_at + random() * INTERVAL '12 hours'
           END AS used_at
    FROM (
        SELECT (day + CASE
                   WHEN random() < 0.95 THEN INTERVAL '7 hours' + (random() + random() + random()) * INTERVAL '4 hours'
                   ELSE random() * INTERVAL '24 hours'
               END)::TIMESTAMP(6) AS created_at
        FROM (
            -- Two thirds of a weekend's tokens go to the days before it.
            SELECT CASE WHEN n > :days AND extract(isodow FROM day) > 5 AND random() < 0.66
                        THEN greatest(day - 2, (now() AT TIME ZONE 'UTC')::DATE - :days) ELSE day END AS day
            FROM (
                SELECT n, (now() AT TIME ZONE 'UTC')::DATE - 1
                          - CASE WHEN n <= :days THEN n - 1 ELSE floor(random() * :days)::INTEGER END AS day
                FROM generate_series(1, :tokens) AS n
            ) AS any_day
        ) AS days
    ) AS times
    ORDER BY created_at
) AS rows;

:definition;
SET session_replication_role = origin;
VACUUM (ANALYZE) users, tokens;
