-- Counts of tokens by 15 minutes of UTC and by member, and a log of what in them is out of date. Readers
-- take counts for what is not in the log, and look at the tokens themselves for what is.
CREATE TABLE rollup_slots (
    slot TIMESTAMP NOT NULL CONSTRAINT rollup_slots_pk PRIMARY KEY,
    issued INTEGER NOT NULL,
    issued_and_used INTEGER NOT NULL,
    used INTEGER NOT NULL
);
CREATE TABLE rollup_users (
    user_id INTEGER NOT NULL CONSTRAINT rollup_users_pk PRIMARY KEY,
    issued INTEGER NOT NULL,
    used INTEGER NOT NULL,
    first_visit_at TIMESTAMP,
    last_visit_at TIMESTAMP
);
-- Who came, by the time of their tokens' issue, and of its use: members' ids, each once, of four bytes each.
CREATE TABLE rollup_visitors (
    slot TIMESTAMP NOT NULL CONSTRAINT rollup_visitors_pk PRIMARY KEY,
    by_issue BYTEA NOT NULL,
    by_use BYTEA NOT NULL
);
-- A row is never changed, and only a refresh deletes any: writers share nothing that they could wait for.
-- With neither slots nor users, something else changed that answers show.
CREATE TABLE rollup_log (
    slots TSRANGE,
    users INT8RANGE
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_threshold = -1);
-- One row: which rollup it is, and how many refreshes there were. Between two of them the log only grows, so that this number and
-- the length of the log tell whether anything changed.
CREATE TABLE rollup_state (
    identity UUID NOT NULL DEFAULT gen_random_uuid(),
    generation BIGINT NOT NULL,
    refreshed_at TIMESTAMPTZ
);
INSERT INTO rollup_state (generation) VALUES (0);

-- Functions run with the rights of whoever made the rollup: writers of tokens need none on the log.
CREATE FUNCTION rollup_log_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    logged BIGINT;
BEGIN
    -- A few tokens, as the door's service writes them: no sorting, no merging.
    INSERT INTO rollup_log (slots, users)
    SELECT tsrange(slot, slot + INTERVAL '15 minutes'), users FROM (
        (SELECT date_bin('15 minutes', created_at, TIMESTAMP '2000-01-01') AS slot,
                int8range(user_id, user_id::BIGINT + 1) AS users
         FROM new_rows LIMIT 9)
        UNION ALL
        (SELECT date_bin('15 minutes', used_at, TIMESTAMP '2000-01-01'), NULL
         FROM new_rows WHERE used_at IS NOT NULL LIMIT 9)
    ) AS few;
    GET DIAGNOSTICS logged = ROW_COUNT;
    IF logged < 9 THEN
        RETURN NULL;
    END IF;
    -- There may be more of them.
    INSERT INTO rollup_log (slots, users)
    SELECT unnest(range_agg(tsrange(slot, slot + INTERVAL '15 minutes'))), NULL::INT8RANGE FROM (
        SELECT date_bin('15 minutes', created_at, TIMESTAMP '2000-01-01') AS slot FROM new_rows
        UNION
        SELECT date_bin('15 minutes', used_at, TIMESTAMP '2000-01-01') FROM new_rows WHERE used_at IS NOT NULL
    ) AS touched
    UNION ALL
    SELECT NULL, unnest(range_agg(int8range(user_id, user_id::BIGINT + 1)))
    FROM (SELECT DISTINCT user_id FROM new_rows) AS touched;
    RETURN NULL;
END
$$;
CREATE FUNCTION rollup_log_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO rollup_log (slots, users)
    SELECT unnest(range_agg(tsrange(slot, slot + INTERVAL '15 minutes'))), NULL::INT8RANGE FROM (
        SELECT date_bin('15 minutes', created_at, TIMESTAMP '2000-01-01') AS slot FROM (SELECT user_id, created_at, used_at FROM new_rows UNION ALL SELECT user_id, created_at, used_at FROM old_rows) AS both_rows
        UNION
        SELECT date_bin('15 minutes', used_at, TIMESTAMP '2000-01-01') FROM (SELECT user_id, created_at, used_at FROM new_rows UNION ALL SELECT user_id, created_at, used_at FROM old_rows) AS both_rows WHERE used_at IS NOT NULL
    ) AS touched
    UNION ALL
    SELECT NULL, unnest(range_agg(int8range(user_id, user_id::BIGINT + 1)))
    FROM (SELECT DISTINCT user_id FROM (SELECT user_id, created_at, used_at FROM new_rows UNION ALL SELECT user_id, created_at, used_at FROM old_rows) AS both_rows) AS touched;
    RETURN NULL;
END
$$;
CREATE FUNCTION rollup_log_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO rollup_log (slots, users)
    SELECT unnest(range_agg(tsrange(slot, slot + INTERVAL '15 minutes'))), NULL::INT8RANGE FROM (
        SELECT date_bin('15 minutes', created_at, TIMESTAMP '2000-01-01') AS slot FROM old_rows
        UNION
        SELECT date_bin('15 minutes', used_at, TIMESTAMP '2000-01-01') FROM old_rows WHERE used_at IS NOT NULL
    ) AS touched
    UNION ALL
    SELECT NULL, unnest(range_agg(int8range(user_id, user_id::BIGINT + 1)))
    FROM (SELECT DISTINCT user_id FROM old_rows) AS touched;
    RETURN NULL;
END
$$;
CREATE FUNCTION rollup_log_truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO rollup_log (slots, users) VALUES (tsrange('-infinity', 'infinity'), int8range(-2147483648, 2147483648));
    RETURN NULL;
END
$$;
CREATE FUNCTION rollup_log_users() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO rollup_log DEFAULT VALUES;
    RETURN NULL;
END
$$;
CREATE TRIGGER rollup_tokens_inserted AFTER INSERT ON tokens REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_log_inserted();
CREATE TRIGGER rollup_tokens_updated AFTER UPDATE ON tokens REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_log_updated();
CREATE TRIGGER rollup_tokens_deleted AFTER DELETE ON tokens REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_log_deleted();
CREATE TRIGGER rollup_tokens_truncated AFTER TRUNCATE ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_log_truncated();
CREATE TRIGGER rollup_users_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION rollup_log_users();
