-- What the reports below are made of. Whoever calls a report has the rights of its owner meanwhile: so nothing in these
-- files leaves it to a search path which table, function or type is meant.

-- What clocks of a zone show at an instant, which is in UTC.
CREATE FUNCTION {here}.report_local(at TIMESTAMP, zone TEXT) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN at AT TIME ZONE INTERVAL '0' AT TIME ZONE zone;

-- By how much they differ from UTC.
CREATE FUNCTION {here}.report_offset(at TIMESTAMP, zone TEXT) RETURNS INTERVAL
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN at AT TIME ZONE INTERVAL '0' AT TIME ZONE zone - at;

-- The first instant of a local day. PostgreSQL takes the later one of two midnights.
CREATE FUNCTION {here}.report_start(day DATE, zone TEXT) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    SELECT CASE WHEN {here}.report_local(earlier, zone) = day THEN earlier
           ELSE day::TIMESTAMP AT TIME ZONE zone AT TIME ZONE INTERVAL '0' END
    FROM (VALUES (day - {here}.report_offset(day - INTERVAL '1 day', zone))) AS as_the_day_before (earlier)
);

-- Whether a zone's clocks do not change within a day before and after the beginning of a local day. Otherwise, times of the
-- day before may come again.
CREATE FUNCTION {here}.report_is_plain(day DATE, zone TEXT) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
    SELECT {here}.report_offset(start - INTERVAL '1 day', zone) = {here}.report_offset(start + INTERVAL '1 day', zone)
    FROM (VALUES ({here}.report_start(day, zone))) AS starts (start)
);

-- Instants between which all times of these local dates lie; without others, where the clocks are plain. An open end is null.
-- Times before the year 1 and after 9999 are on no date.
CREATE FUNCTION {here}.report_begin(first DATE, zone TEXT) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN greatest(
    {here}.report_start(first, zone) - CASE WHEN {here}.report_is_plain(first, zone) THEN INTERVAL '0' ELSE INTERVAL '1 day' END,
    TIMESTAMP '0001-01-01'
);
CREATE FUNCTION {here}.report_end(last DATE, zone TEXT) RETURNS TIMESTAMP
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN least(
    {here}.report_start(last + 1, zone) + CASE WHEN {here}.report_is_plain(last + 1, zone) THEN INTERVAL '0' ELSE INTERVAL '1 day' END,
    TIMESTAMP '10000-01-01'
);
-- Whether these bounds need no look at the local date.
CREATE FUNCTION {here}.report_are_plain(first DATE, last DATE, zone TEXT) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce({here}.report_is_plain(first, zone), TRUE) AND coalesce({here}.report_is_plain(last + 1, zone), TRUE);

-- Whether a time is in the years 1 to 9999. No report shows others.
CREATE FUNCTION {here}.report_is_time(at TIMESTAMP) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN at >= TIMESTAMP '0001-01-01' AND at < TIMESTAMP '10000-01-01';

-- Whether a local date is in a range; an open end is null.
CREATE FUNCTION {here}.report_is_in(day DATE, first DATE, last DATE) RETURNS BOOLEAN
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN day BETWEEN coalesce(first, '-infinity') AND coalesce(last, 'infinity');

-- Door codes by the local date of their issue. PostgreSQL puts the statement into those that name it, and drops the condition
-- where it always holds.
CREATE FUNCTION {here}.report_issues(first DATE, last DATE, zone TEXT)
RETURNS TABLE (user_id INTEGER, created_at TIMESTAMP, used_at TIMESTAMP, local TIMESTAMP)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT user_id, created_at, used_at, {here}.report_local(created_at, zone) FROM {tokens}
    WHERE created_at >= {here}.report_begin(first, zone) AND created_at < {here}.report_end(last, zone)
    AND ({here}.report_are_plain(first, last, zone) OR {here}.report_is_in({here}.report_local(created_at, zone)::DATE, first, last))
$$;

-- The same by the local date of their use.
CREATE FUNCTION {here}.report_uses(first DATE, last DATE, zone TEXT)
RETURNS TABLE (user_id INTEGER, used_at TIMESTAMP, local TIMESTAMP)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT user_id, used_at, {here}.report_local(used_at, zone) FROM {tokens}
    WHERE used_at >= {here}.report_begin(first, zone) AND used_at < {here}.report_end(last, zone)
    AND ({here}.report_are_plain(first, last, zone) OR {here}.report_is_in({here}.report_local(used_at, zone)::DATE, first, last))
$$;

-- Visits, at the time that the basis says.
CREATE FUNCTION {here}.report_visits(first DATE, last DATE, zone TEXT, basis TEXT)
RETURNS TABLE (user_id INTEGER, local TIMESTAMP)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT user_id, local FROM {here}.report_issues(first, last, zone)
    WHERE basis = 'ISSUED_AT' AND used_at IS NOT NULL
    UNION ALL
    SELECT user_id, local FROM {here}.report_uses(first, last, zone) WHERE basis = 'USED_AT'
$$;

-- Refuses arguments that make no sense.
CREATE FUNCTION {here}.report_check(first DATE, last DATE, zone TEXT, basis TEXT) RETURNS VOID
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- PostgreSQL also takes offsets, with the sign that POSIX gives them: '+2' is west of Greenwich.
    IF zone IS NULL OR zone !~ '^[A-Za-z_]+[0-9A-Za-z_]*(/[A-Za-z0-9_+-]+)*$' THEN
        RAISE EXCEPTION 'the zone is %, which is not the name of a time zone: write it like Europe/Berlin', coalesce(zone, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF basis IS NULL OR basis NOT IN ('ISSUED_AT', 'USED_AT') THEN
        RAISE EXCEPTION 'the basis is %: write ISSUED_AT or USED_AT', coalesce(basis, 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF first > last THEN
        RAISE EXCEPTION 'the first date, %, is after the last one, %', first, last USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
-- The unit of date_trunc for a granularity.
CREATE FUNCTION {here}.report_unit(granularity TEXT) RETURNS TEXT
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF granularity IS NULL OR granularity NOT IN ('DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR') THEN
        RAISE EXCEPTION 'the granularity is %: write DAY, WEEK, MONTH, QUARTER or YEAR', coalesce(granularity, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN lower(granularity);
END
$$;
-- A number of days that a rule has.
CREATE FUNCTION {here}.report_days(name TEXT, days INTEGER) RETURNS INTEGER
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF days IS NULL OR days NOT BETWEEN 1 AND 3650 THEN
        RAISE EXCEPTION '% is %: write 1 to 3650', name, coalesce(days::TEXT, 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN days;
END
$$;

-- Whether there is a rollup that follows the door codes. What somebody else put there under its names is not trusted: it
-- would run with the rights that the reports have.
CREATE FUNCTION {here}.report_has_rollup() RETURNS BOOLEAN
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tokens OID := '{tokens}'::REGCLASS;
    trusted OID[];
BEGIN
    trusted := ARRAY(SELECT oid FROM pg_roles WHERE rolsuper OR rolname IN (current_user, 'coworking_rollup'));
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        trusted := trusted || (SELECT relowner FROM pg_class WHERE oid = tokens);
    END IF;
    IF (SELECT count(*) FROM pg_class
        WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = tokens) AND relkind = 'r'
        AND relname IN ('rollup_days', 'rollup_users', 'rollup_log', 'rollup_state') AND relowner = ANY (trusted)
        AND has_table_privilege(oid, 'SELECT')) < 4
    OR NOT EXISTS (
        SELECT FROM pg_proc WHERE oid = to_regprocedure('{schema}.rollup_fingerprint(regclass, regclass)') AND proowner = ANY (trusted)
        AND has_function_privilege(oid, 'EXECUTE')
    )
    THEN
        RETURN FALSE;
    END IF;
    RETURN coalesce((SELECT fingerprint FROM {schema}.rollup_state) = {schema}.rollup_fingerprint('{tokens}', '{users}'), FALSE);
END
$$;

-- The numbers in bytes of the rollup, in order from 0 on: of variable length, seven bits in each byte (LEB128).
CREATE FUNCTION {here}.report_numbers(bytes BYTEA) RETURNS TABLE (place BIGINT, number BIGINT)
LANGUAGE sql IMMUTABLE PARALLEL SAFE BEGIN ATOMIC
    SELECT place, sum((byte & 127)::BIGINT << (7 * digit)::INTEGER)::BIGINT FROM (
        SELECT place, byte, row_number() OVER (PARTITION BY place ORDER BY at) - 1 AS digit FROM (
            SELECT at, byte, count(*) FILTER (WHERE byte < 128) OVER (ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS place
            FROM (SELECT at, get_byte(bytes, at) AS byte FROM generate_series(0, length(bytes) - 1) AS at OFFSET 0) AS bytes
        ) AS places
    ) AS digits
    GROUP BY place;
END;

-- Door codes by quarters of an hour of local time: issued, used among these, and by time of use, if the basis is that. Some
-- quarters have several rows. Those that the rollup's log does not name are read from the rollup, others counted.
CREATE FUNCTION {here}.report_counts(first DATE, last DATE, zone TEXT, basis TEXT)
RETURNS TABLE (local TIMESTAMP, issued BIGINT, used BIGINT, came BIGINT)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
#variable_conflict use_column
DECLARE
    begins TIMESTAMP := {here}.report_begin(first, zone);
    ends TIMESTAMP := {here}.report_end(last, zone);
    is_plain BOOLEAN := {here}.report_are_plain(first, last, zone);
    logged TSMULTIRANGE := '{(,)}';
BEGIN
    IF {here}.report_has_rollup() THEN
        -- Days of UTC on which the zone's clocks change, or differ from UTC by no whole quarters of an hour, are counted.
        SELECT (SELECT coalesce(range_agg(slots), '{}') FROM {schema}.rollup_log) + coalesce(range_agg(tsrange(day, day + 1)), '{}') INTO logged
        FROM {schema}.rollup_days
        CROSS JOIN LATERAL (VALUES ({here}.report_offset(day, zone), {here}.report_offset(day + 1, zone))) AS offsets (before, after)
        WHERE day >= begins::DATE AND day <= ends::DATE AND (before <> after OR extract(epoch FROM before)::INTEGER % 900 <> 0);
        RETURN QUERY
        SELECT {here}.report_local(at, zone), issued::BIGINT, used::BIGINT, came::BIGINT
        FROM (
            SELECT day + place / 3 * INTERVAL '15 minutes' AS at,
                   sum(number) FILTER (WHERE place % 3 < 2) AS issued,
                   sum(number) FILTER (WHERE place % 3 = 0) AS used,
                   sum(number) FILTER (WHERE place % 3 = 2) AS came
            FROM {schema}.rollup_days CROSS JOIN LATERAL {here}.report_numbers(counts)
            WHERE day >= begins::DATE AND day <= ends::DATE
            GROUP BY day, place / 3
            OFFSET 0
        ) AS slots
        WHERE at >= begins AND at < ends AND NOT at <@ logged AND (issued > 0 OR basis = 'USED_AT' AND came > 0)
        AND (is_plain OR {here}.report_is_in({here}.report_local(at, zone)::DATE, first, last));
    END IF;
    -- OFFSET 0 makes PostgreSQL read one range of an index for each stretch.
    RETURN QUERY
    SELECT date_bin('15 minutes', {here}.report_local(created_at, zone), TIMESTAMP '2000-01-01'), count(*), count(used_at), 0::BIGINT
    FROM unnest(logged * tsmultirange(tsrange(begins, ends))) AS stretch CROSS JOIN LATERAL (
        SELECT created_at, used_at FROM {tokens} WHERE created_at >= lower(stretch) AND created_at < upper(stretch) OFFSET 0
    ) AS issues
    WHERE is_plain OR {here}.report_is_in({here}.report_local(created_at, zone)::DATE, first, last)
    GROUP BY 1;
    IF basis = 'USED_AT' THEN
        RETURN QUERY
        SELECT date_bin('15 minutes', {here}.report_local(used_at, zone), TIMESTAMP '2000-01-01'), 0::BIGINT, 0::BIGINT, count(*)
        FROM unnest(logged * tsmultirange(tsrange(begins, ends))) AS stretch CROSS JOIN LATERAL (
            SELECT used_at FROM {tokens} WHERE used_at >= lower(stretch) AND used_at < upper(stretch) OFFSET 0
        ) AS uses
        WHERE is_plain OR {here}.report_is_in({here}.report_local(used_at, zone)::DATE, first, last)
        GROUP BY 1;
    END IF;
END
$$;

-- Members to whom a door code was ever issued, with counts and times of all time.
CREATE FUNCTION {here}.report_members()
RETURNS TABLE (user_id INTEGER, issued BIGINT, used BIGINT, first_visit TIMESTAMP, last_visit TIMESTAMP)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    logged INT8MULTIRANGE;
BEGIN
    IF NOT {here}.report_has_rollup() THEN
        RETURN QUERY
        SELECT user_id, count(*), count(used_at), min(used_at) FILTER (WHERE {here}.report_is_time(used_at)),
               max(used_at) FILTER (WHERE {here}.report_is_time(used_at))
        FROM {tokens} GROUP BY user_id;
        RETURN;
    END IF;
    SELECT coalesce(range_agg(users), '{}') INTO logged FROM {schema}.rollup_log;
    RETURN QUERY
    SELECT user_id, issued::BIGINT, used::BIGINT, first_visit_at, last_visit_at
    FROM {schema}.rollup_users WHERE NOT user_id::BIGINT <@ logged;
    RETURN QUERY
    SELECT user_id, count(*), count(used_at), min(used_at) FILTER (WHERE {here}.report_is_time(used_at)),
           max(used_at) FILTER (WHERE {here}.report_is_time(used_at))
    FROM unnest(logged * '{[-2147483648,2147483647]}') AS stretch CROSS JOIN LATERAL (
        SELECT user_id, used_at FROM {tokens} WHERE user_id >= lower(stretch) AND user_id < upper(stretch) OFFSET 0
    ) AS codes
    GROUP BY user_id;
END
$$;
