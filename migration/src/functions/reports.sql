-- The reports, as functions. Like the views, they read with the rights of their owner: whoever may call one needs no right on
-- the tables. A custom plan knows the dates.
-- Counting different members takes most of the time: `with_visitors` leaves it out.
CREATE FUNCTION {here}.report_daily_usage(
    first DATE DEFAULT NULL, last DATE DEFAULT NULL, zone TEXT DEFAULT current_setting('TimeZone'), basis TEXT DEFAULT 'ISSUED_AT',
    with_visitors BOOLEAN DEFAULT TRUE
) RETURNS TABLE (
    date DATE, starts_at TIMESTAMPTZ, visits BIGINT, tokens_issued BIGINT, tokens_unused BIGINT, conversion_rate DOUBLE PRECISION,
    unique_visitors BIGINT, is_partial BOOLEAN
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    RETURN QUERY
    SELECT date, {here}.report_start(date, zone) AT TIME ZONE 'UTC', visits, issued, issued - used, visits::FLOAT8 / nullif(issued, 0),
           CASE WHEN with_visitors THEN coalesce(visitors, 0) END, {here}.report_start(date + 1, zone) > now() AT TIME ZONE 'UTC'
    FROM (
        SELECT local::DATE AS date, sum(issued)::BIGINT AS issued, sum(used)::BIGINT AS used,
               sum(CASE basis WHEN 'ISSUED_AT' THEN used ELSE came END)::BIGINT AS visits
        FROM {here}.report_counts(first, last, zone, basis) GROUP BY 1
    ) AS days LEFT JOIN (
        SELECT local::DATE AS date, count(DISTINCT user_id) AS visitors
        FROM {here}.report_visits(first, last, zone, basis) WHERE with_visitors GROUP BY 1
    ) AS visitors USING (date)
    ORDER BY date;
END
$$;

CREATE FUNCTION {here}.report_usage(
    granularity TEXT DEFAULT 'DAY', first DATE DEFAULT NULL, last DATE DEFAULT NULL, zone TEXT DEFAULT current_setting('TimeZone'),
    basis TEXT DEFAULT 'ISSUED_AT', with_visitors BOOLEAN DEFAULT TRUE
) RETURNS TABLE (
    date DATE, starts_at TIMESTAMPTZ, visits BIGINT, tokens_issued BIGINT, tokens_unused BIGINT, conversion_rate DOUBLE PRECISION,
    unique_visitors BIGINT, is_partial BOOLEAN
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
DECLARE
    unit TEXT := {here}.report_unit(granularity);
    -- The last day of a bucket is so long before the next bucket.
    length INTERVAL := CASE unit WHEN 'quarter' THEN INTERVAL '3 months' ELSE ('1 ' || unit)::INTERVAL END;
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    RETURN QUERY
    SELECT date, {here}.report_start(date, zone) AT TIME ZONE 'UTC', visits, issued, issued - used, visits::FLOAT8 / nullif(issued, 0),
           CASE WHEN with_visitors THEN coalesce(visitors, 0) END,
           {here}.report_start(next, zone) > now() AT TIME ZONE 'UTC' OR coalesce(first > date, FALSE) OR coalesce(last < next - 1, FALSE)
    FROM (
        SELECT date_trunc(unit, local)::DATE AS date, (date_trunc(unit, local) + length)::DATE AS next,
               sum(issued)::BIGINT AS issued, sum(used)::BIGINT AS used,
               sum(CASE basis WHEN 'ISSUED_AT' THEN used ELSE came END)::BIGINT AS visits
        FROM {here}.report_counts(first, last, zone, basis) GROUP BY 1, 2
    ) AS buckets LEFT JOIN (
        SELECT date_trunc(unit, local)::DATE AS date, count(DISTINCT user_id) AS visitors
        FROM {here}.report_visits(first, last, zone, basis) WHERE with_visitors GROUP BY 1
    ) AS visitors USING (date)
    ORDER BY date;
END
$$;

CREATE FUNCTION {here}.report_heatmap(
    first DATE DEFAULT NULL, last DATE DEFAULT NULL, zone TEXT DEFAULT current_setting('TimeZone'), basis TEXT DEFAULT 'ISSUED_AT'
) RETURNS TABLE (
    weekday INTEGER, hour INTEGER, visits BIGINT, tokens_issued BIGINT, tokens_unused BIGINT, conversion_rate DOUBLE PRECISION
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    RETURN QUERY
    SELECT weekday, hour, coalesce(visits, 0), coalesce(issued, 0), coalesce(issued - used, 0), visits::FLOAT8 / nullif(issued, 0)
    FROM generate_series(1, 7) AS weekday CROSS JOIN generate_series(0, 23) AS hour LEFT JOIN (
        SELECT extract(isodow FROM local)::INTEGER AS weekday, extract(hour FROM local)::INTEGER AS hour,
               sum(issued)::BIGINT AS issued, sum(used)::BIGINT AS used,
               sum(CASE basis WHEN 'ISSUED_AT' THEN used ELSE came END)::BIGINT AS visits
        FROM {here}.report_counts(first, last, zone, basis) GROUP BY 1, 2
    ) AS cells USING (weekday, hour)
    ORDER BY weekday, hour;
END
$$;

CREATE FUNCTION {here}.report_user_visits(
    first DATE DEFAULT NULL, last DATE DEFAULT NULL, zone TEXT DEFAULT current_setting('TimeZone'), basis TEXT DEFAULT 'ISSUED_AT'
) RETURNS TABLE (
    user_id INTEGER, visits BIGINT, tokens_issued BIGINT, tokens_unused BIGINT, first_visit_at TIMESTAMPTZ, last_visit_at TIMESTAMPTZ,
    joined_at TIMESTAMPTZ, is_active BOOLEAN
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    RETURN QUERY
    SELECT counted.user_id, visits, issued, unused, first_visit AT TIME ZONE 'UTC', last_visit AT TIME ZONE 'UTC',
           CASE WHEN {here}.report_is_time(users.joined_at) THEN users.joined_at AT TIME ZONE 'UTC' END, users.is_active
    FROM (
        -- Of all time, also door codes that were issued on no date.
        SELECT user_id, used AS visits, issued, issued - used AS unused, first_visit, last_visit FROM {here}.report_members()
        WHERE first IS NULL AND last IS NULL
        UNION ALL
        SELECT user_id, count(visit), sum(issued)::BIGINT, sum(unused)::BIGINT,
               min(visit) FILTER (WHERE {here}.report_is_time(visit)), max(visit) FILTER (WHERE {here}.report_is_time(visit))
        FROM (
            SELECT user_id, CASE basis WHEN 'ISSUED_AT' THEN used_at END AS visit, 1 AS issued, (used_at IS NULL)::INTEGER AS unused
            FROM {here}.report_issues(first, last, zone)
            UNION ALL
            SELECT user_id, used_at, 0, 0 FROM {here}.report_uses(first, last, zone) WHERE basis = 'USED_AT'
        ) AS codes
        WHERE NOT (first IS NULL AND last IS NULL)
        GROUP BY user_id
    ) AS counted LEFT JOIN {users} AS users ON users.id = counted.user_id
    ORDER BY 1;
END
$$;

CREATE FUNCTION {here}.report_frequency(
    first DATE DEFAULT NULL, last DATE DEFAULT NULL, zone TEXT DEFAULT current_setting('TimeZone'), basis TEXT DEFAULT 'ISSUED_AT'
) RETURNS TABLE (visits BIGINT, members BIGINT, members_at_least BIGINT)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    RETURN QUERY
    SELECT visits, count(*), (sum(count(*)) OVER (ORDER BY visits DESC))::BIGINT
    FROM (SELECT count(*) AS visits FROM {here}.report_visits(first, last, zone, basis) GROUP BY user_id) AS members
    GROUP BY visits ORDER BY visits;
END
$$;

CREATE FUNCTION {here}.report_active_users(
    first DATE DEFAULT NULL, last DATE DEFAULT NULL, zone TEXT DEFAULT current_setting('TimeZone'), basis TEXT DEFAULT 'ISSUED_AT'
) RETURNS TABLE (date DATE, daily BIGINT, weekly BIGINT, monthly BIGINT, stickiness DOUBLE PRECISION, is_partial BOOLEAN)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    RETURN QUERY
    WITH stays AS (
        -- A member counts from a day on until the next one, or until the window has passed.
        SELECT date, stay, count(*) AS members FROM (
            SELECT date, lead(date) OVER (PARTITION BY user_id ORDER BY date) - date AS stay
            FROM (SELECT DISTINCT user_id, local::DATE AS date FROM {here}.report_visits(first - 29, last, zone, basis)) AS days
        ) AS each GROUP BY 1, 2
    ), ends AS (
        SELECT coalesce(first, min(date)) AS first,
               coalesce(last, greatest(max(date), {here}.report_local(now() AT TIME ZONE 'UTC', zone)::DATE)) AS last FROM stays
    ), days AS (
        SELECT date::DATE AS date FROM ends CROSS JOIN LATERAL generate_series(first - INTERVAL '29 days', last, INTERVAL '1 day') AS date
    ), counted AS (
        SELECT date, sum(sum(daily)) OVER every_day AS daily, sum(sum(weekly)) OVER every_day AS weekly, sum(sum(monthly)) OVER every_day AS monthly
        FROM (
            SELECT date, 0 AS daily, 0 AS weekly, 0 AS monthly FROM days
            UNION ALL SELECT date, members, members, members FROM stays
            UNION ALL SELECT date + 1, -members, 0, 0 FROM stays
            UNION ALL SELECT date + least(stay, 7), 0, -members, 0 FROM stays
            UNION ALL SELECT date + least(stay, 30), 0, 0, -members FROM stays
        ) AS changes
        GROUP BY date WINDOW every_day AS (ORDER BY date)
    )
    SELECT date, daily::BIGINT, weekly::BIGINT, monthly::BIGINT, daily::FLOAT8 / nullif(monthly, 0)::FLOAT8,
           {here}.report_start(date + 1, zone) > now() AT TIME ZONE 'UTC'
    FROM counted CROSS JOIN ends
    WHERE date BETWEEN ends.first AND ends.last AND {here}.report_start(date, zone) < {here}.report_start(date + 1, zone)
    ORDER BY date;
END
$$;

CREATE FUNCTION {here}.report_membership(
    granularity TEXT DEFAULT 'MONTH', first DATE DEFAULT NULL, last DATE DEFAULT NULL, stopped_after_days INTEGER DEFAULT 30,
    zone TEXT DEFAULT current_setting('TimeZone'), basis TEXT DEFAULT 'ISSUED_AT'
) RETURNS TABLE (
    date DATE, starts_at TIMESTAMPTZ, joined BIGINT, active BIGINT, first_visits BIGINT, returning_members BIGINT, stopped BIGINT, is_partial BOOLEAN
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
DECLARE
    since DATE := coalesce(first, '-infinity');
    until DATE := coalesce(last, 'infinity');
    unit TEXT := {here}.report_unit(granularity);
    length INTERVAL := CASE unit WHEN 'quarter' THEN INTERVAL '3 months' ELSE ('1 ' || unit)::INTERVAL END;
    away INTEGER := {here}.report_days('stopped_after_days', stopped_after_days);
    today DATE := {here}.report_local(now() AT TIME ZONE 'UTC', zone)::DATE;
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    RETURN QUERY
    WITH came AS (
        SELECT DISTINCT user_id, local::DATE AS date FROM {here}.report_visits(NULL, NULL, zone, basis)
    ), stays AS (
        SELECT user_id, date, min(date) OVER (PARTITION BY user_id) AS first_date,
               lead(date) OVER (PARTITION BY user_id ORDER BY date) AS next_date
        FROM came
    ), changes AS (
        SELECT date_trunc(unit, {here}.report_local(joined_at, zone))::DATE AS date, count(*) AS joined, 0 AS active, 0 AS firsts, 0 AS stopped
        FROM {users}
        WHERE {here}.report_is_time(joined_at) AND {here}.report_local(joined_at, zone)::DATE BETWEEN since AND until GROUP BY 1
        UNION ALL
        SELECT date_trunc(unit, date)::DATE, 0, count(DISTINCT user_id), count(*) FILTER (WHERE date = first_date), 0
        FROM stays WHERE date BETWEEN since AND until GROUP BY 1
        UNION ALL
        SELECT date_trunc(unit, day)::DATE, 0, 0, 0, sum(members)
        FROM (
            SELECT date + away + 1 AS due, count(*) AS members FROM stays
            WHERE next_date IS NULL OR next_date > date + away + 1 GROUP BY 1 OFFSET 0
        ) AS gone CROSS JOIN LATERAL (
            -- Nobody stops on a day that the zone skipped: the next one is the day.
            SELECT CASE WHEN {here}.report_start(due, zone) < {here}.report_start(due + 1, zone) THEN due ELSE due + 1 END AS day
        ) AS days
        WHERE day BETWEEN since AND least(until, today) GROUP BY 1
    ), ends AS (
        SELECT coalesce(first, min(date) FILTER (WHERE joined + active > 0)) AS first,
               coalesce(last, greatest(max(date) FILTER (WHERE joined + active > 0), today)) AS last FROM changes
    ), buckets AS (
        SELECT bucket::DATE AS date, (bucket + length)::DATE AS next
        FROM ends CROSS JOIN LATERAL generate_series(date_trunc(unit, ends.first), ends.last, length) AS bucket
    )
    SELECT date, {here}.report_start(date, zone) AT TIME ZONE 'UTC', coalesce(sum(joined), 0)::BIGINT, coalesce(sum(active), 0)::BIGINT,
           coalesce(sum(firsts), 0)::BIGINT, coalesce(sum(active) - sum(firsts), 0)::BIGINT, coalesce(sum(stopped), 0)::BIGINT,
           {here}.report_start(next, zone) > now() AT TIME ZONE 'UTC' OR coalesce(first > date, FALSE) OR coalesce(last < next - 1, FALSE)
    FROM buckets LEFT JOIN changes USING (date)
    WHERE {here}.report_start(date, zone) < {here}.report_start(next, zone)
    GROUP BY date, next ORDER BY date;
END
$$;

CREATE FUNCTION {here}.report_retention(
    cohort TEXT DEFAULT 'MONTH', first DATE DEFAULT NULL, last DATE DEFAULT NULL, periods INTEGER DEFAULT 6, anchor TEXT DEFAULT 'JOINED_AT',
    zone TEXT DEFAULT current_setting('TimeZone'), basis TEXT DEFAULT 'ISSUED_AT'
) RETURNS TABLE (
    date DATE, members BIGINT, period INTEGER, period_date DATE, active BIGINT, rate DOUBLE PRECISION, is_partial BOOLEAN
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
DECLARE
    unit TEXT;
    length INTERVAL;
    today DATE := {here}.report_local(now() AT TIME ZONE 'UTC', zone)::DATE;
    recorded_from DATE;
BEGIN
    PERFORM {here}.report_check(first, last, zone, basis);
    IF cohort IS NULL OR cohort NOT IN ('WEEK', 'MONTH') THEN
        RAISE EXCEPTION 'the cohort is %: write WEEK or MONTH', coalesce(cohort, 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF anchor IS NULL OR anchor NOT IN ('JOINED_AT', 'FIRST_VISIT') THEN
        RAISE EXCEPTION 'the anchor is %: write JOINED_AT or FIRST_VISIT', coalesce(anchor, 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF periods IS NULL OR periods NOT BETWEEN 1 AND 104 THEN
        RAISE EXCEPTION 'periods is %: write 1 to 104', coalesce(periods::TEXT, 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    unit := lower(cohort);
    length := ('1 ' || unit)::INTERVAL;
    SELECT {here}.report_local(min(created_at), zone)::DATE INTO recorded_from FROM {tokens} WHERE {here}.report_is_time(created_at);
    RETURN QUERY
    WITH came AS MATERIALIZED (
        SELECT DISTINCT user_id, local::DATE AS date FROM {here}.report_visits(NULL, NULL, zone, basis)
    ), members AS (
        SELECT user_id, date_trunc(unit, day)::DATE AS date FROM (
            SELECT id AS user_id, {here}.report_local(joined_at, zone)::DATE AS day FROM {users}
            WHERE anchor = 'JOINED_AT' AND {here}.report_is_time(joined_at)
            UNION ALL
            SELECT user_id, min(date) FROM came WHERE anchor = 'FIRST_VISIT' GROUP BY user_id
        ) AS days WHERE {here}.report_is_in(day, first, last)
    ), sizes AS (
        SELECT date, count(*) AS members FROM members GROUP BY date
    ), active AS (
        SELECT members.date, came.date AS period_date, count(*) AS active
        FROM members JOIN (SELECT DISTINCT user_id, date_trunc(unit, date)::DATE AS date FROM came) AS came USING (user_id)
        GROUP BY 1, 2
    ), ends AS (
        SELECT coalesce(first, min(date)) AS first, coalesce(last, greatest(max(date), today)) AS last FROM sizes
    ), cohorts AS (
        SELECT bucket::DATE AS date FROM ends CROSS JOIN LATERAL generate_series(date_trunc(unit, ends.first), ends.last, length) AS bucket
    ), rows AS (
        SELECT date, number, (date + number * length)::DATE AS period_date, (date + (number + 1) * length)::DATE AS next
        FROM cohorts CROSS JOIN generate_series(0, periods) AS number
    )
    SELECT rows.date, coalesce(members, 0), number, rows.period_date,
           CASE WHEN is_known THEN coalesce(active, 0) END,
           CASE WHEN is_known THEN coalesce(active, 0)::FLOAT8 / nullif(members, 0) END,
           {here}.report_start(next, zone) > now() AT TIME ZONE 'UTC'
    FROM rows CROSS JOIN LATERAL (VALUES (rows.period_date <= today AND recorded_from IS NOT NULL AND recorded_from < next)) AS known (is_known)
    LEFT JOIN sizes USING (date) LEFT JOIN active ON active.date = rows.date AND active.period_date = rows.period_date
    ORDER BY 1, 3;
END
$$;

CREATE FUNCTION {here}.report_token_funnel(
    first DATE DEFAULT NULL, last DATE DEFAULT NULL, zone TEXT DEFAULT current_setting('TimeZone')
) RETURNS TABLE (
    issued BIGINT, used BIGINT, unused BIGINT, conversion_rate DOUBLE PRECISION, used_before_issued BIGINT, timed BIGINT, median BIGINT,
    p90 BIGINT, p99 BIGINT
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
BEGIN
    PERFORM {here}.report_check(first, last, zone, 'ISSUED_AT');
    RETURN QUERY
    WITH waits AS (
        SELECT CASE WHEN {here}.report_is_time(used_at) THEN floor(extract(epoch FROM used_at - created_at))::BIGINT END AS seconds,
               count(*) AS codes, count(used_at) AS used
        FROM {here}.report_issues(first, last, zone) GROUP BY 1
    ), reached AS (
        SELECT seconds, sum(codes) OVER (ORDER BY seconds) AS reached, sum(codes) OVER () AS timed FROM waits WHERE seconds >= 0
    ), percentiles AS (
        SELECT min(seconds) FILTER (WHERE reached * 100 >= timed * 50) AS median, min(seconds) FILTER (WHERE reached * 100 >= timed * 90) AS p90,
               min(seconds) FILTER (WHERE reached * 100 >= timed * 99) AS p99
        FROM reached
    )
    SELECT coalesce(sum(codes), 0)::BIGINT, coalesce(sum(used), 0)::BIGINT, coalesce(sum(codes) - sum(used), 0)::BIGINT,
           sum(used)::FLOAT8 / nullif(sum(codes), 0)::FLOAT8, coalesce(sum(codes) FILTER (WHERE seconds < 0), 0)::BIGINT,
           coalesce(sum(codes) FILTER (WHERE seconds >= 0), 0)::BIGINT, percentiles.median, percentiles.p90, percentiles.p99
    FROM percentiles LEFT JOIN waits ON TRUE GROUP BY percentiles.median, percentiles.p90, percentiles.p99;
END
$$;

CREATE FUNCTION {here}.report_segments(
    new_within_days INTEGER DEFAULT 30, active_within_days INTEGER DEFAULT 30, lapsed_after_days INTEGER DEFAULT 90,
    zone TEXT DEFAULT current_setting('TimeZone')
) RETURNS TABLE (segment TEXT, members BIGINT, active_members BIGINT)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
DECLARE
    today DATE;
    new TIMESTAMP;
    active TIMESTAMP;
    lapsing TIMESTAMP;
BEGIN
    PERFORM {here}.report_check(NULL, NULL, zone, 'USED_AT');
    IF active_within_days > lapsed_after_days THEN
        RAISE EXCEPTION 'lapsed_after_days is %, which is less than active_within_days, %', lapsed_after_days, active_within_days
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    today := {here}.report_local(now() AT TIME ZONE 'UTC', zone)::DATE;
    new := {here}.report_start(today - {here}.report_days('new_within_days', new_within_days), zone);
    active := {here}.report_start(today - {here}.report_days('active_within_days', active_within_days), zone);
    lapsing := {here}.report_start(today - {here}.report_days('lapsed_after_days', lapsed_after_days), zone);
    RETURN QUERY
    WITH members AS (
        SELECT coalesce(used, 0) AS visits, last_visit, coalesce(is_active, FALSE) AS is_active,
               CASE WHEN {here}.report_is_time(joined_at) THEN joined_at END AS joined_at
        FROM {here}.report_members() AS counted FULL JOIN {users} AS users ON users.id = counted.user_id
    )
    SELECT name, count(*) FILTER (WHERE is_in), count(*) FILTER (WHERE is_in AND is_active)
    FROM members CROSS JOIN LATERAL (VALUES
        (1, 'NEW', joined_at >= new),
        (2, 'ACTIVE', last_visit >= active),
        (3, 'LAPSING', last_visit >= lapsing AND last_visit < active),
        (4, 'LAPSED', last_visit < lapsing),
        (5, 'NEVER_CAME', visits = 0)
    ) AS segments (place, name, is_in)
    GROUP BY place, name ORDER BY place;
END
$$;
