-- Door codes by day and 15 minutes of UTC, counts by member, and a log of what in them is out of date. Readers
-- take what is not in the log from here, and look at the tokens themselves for what is. Run again, it brings
-- an earlier version's rollup to this one, and keeps the rights on its tables.
--
-- Whoever writes tokens sets off the functions below, which have the rights of their owner: so nothing in this
-- file leaves it to a search path which table, function or type is meant.
SET LOCAL search_path = pg_catalog, pg_temp;

-- The door codes of a day of UTC, as bytes; src/reports/counting/rollup/days.rs says how. A report reads the columns that it
-- needs: the others lie elsewhere, and are not compressed, which would save nothing.
CREATE TABLE IF NOT EXISTS {schema}.rollup_days (
    day DATE NOT NULL CONSTRAINT rollup_days_pk PRIMARY KEY,
    counts BYTEA NOT NULL,
    used BYTEA NOT NULL,
    waits BYTEA NOT NULL,
    unused BYTEA NOT NULL,
    came BYTEA NOT NULL
);
ALTER TABLE {schema}.rollup_days
    ALTER COLUMN counts SET STORAGE PLAIN, ALTER COLUMN used SET STORAGE EXTERNAL, ALTER COLUMN waits SET STORAGE EXTERNAL,
    ALTER COLUMN unused SET STORAGE EXTERNAL, ALTER COLUMN came SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS {schema}.rollup_users (
    user_id INTEGER NOT NULL CONSTRAINT rollup_users_pk PRIMARY KEY,
    issued INTEGER NOT NULL,
    used INTEGER NOT NULL,
    first_visit_at TIMESTAMP,
    last_visit_at TIMESTAMP,
    first_visit_issued_at TIMESTAMP
);
-- When the first door code that was used was issued.
ALTER TABLE {schema}.rollup_users ADD COLUMN IF NOT EXISTS first_visit_issued_at TIMESTAMP;
-- A row is never changed, and only a refresh deletes any: writers share nothing that they could wait for.
-- With neither slots nor users, something else changed that answers show.
CREATE TABLE IF NOT EXISTS {schema}.rollup_log (
    slots TSRANGE,
    users INT8RANGE
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_threshold = -1);
CREATE TABLE IF NOT EXISTS {schema}.rollup_state (
    generation BIGINT NOT NULL,
    refreshed_at TIMESTAMPTZ
);
-- Tables that somebody else put there would run their triggers with the rights of whoever refreshes the rollup.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOR name IN
        SELECT format('{schema}.%I belongs to %I', relname, pg_get_userbyid(relowner)) FROM pg_class
        WHERE relnamespace = '{schema}'::REGNAMESPACE
        AND relname IN ('rollup_days', 'rollup_users', 'rollup_log', 'rollup_state', 'rollup_slots', 'rollup_visitors')
        AND relowner NOT IN (SELECT oid FROM pg_roles WHERE rolsuper OR rolname IN (current_user, 'coworking_rollup'))
        AND relowner <> (SELECT relowner FROM pg_class WHERE oid = '{tokens}'::REGCLASS)
    LOOP
        RAISE EXCEPTION '%, and is no part of a rollup: look who made it, and drop or rename it', name;
    END LOOP;
END
$$;
-- One row: how many refreshes there were, which was the last (a random number: a backup that is put back repeats no other),
-- and what the tables were when all was last counted. Between two refreshes the log only grows, so that the row and the
-- length of the log tell whether anything changed.
ALTER TABLE {schema}.rollup_state
    ADD COLUMN IF NOT EXISTS refresh_id UUID NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS fingerprint TEXT,
    -- Changes with every refresh that finds a change of users in the log.
    ADD COLUMN IF NOT EXISTS users_id UUID NOT NULL DEFAULT gen_random_uuid(),
    DROP COLUMN IF EXISTS identity;
-- An earlier version kept two tables instead of this one. Whoever might read them may read this one.
DO $$
DECLARE
    had RECORD;
BEGIN
    FOR had IN
        SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE format('%I', pg_get_userbyid(grantee)) END AS grantee
        FROM pg_class CROSS JOIN LATERAL aclexplode(relacl)
        WHERE oid = to_regclass('{schema}.rollup_slots') AND grantee <> relowner
        AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON {schema}.rollup_days TO %s', had.privilege_type, had.grantee);
    END LOOP;
END
$$;
DROP TABLE IF EXISTS {schema}.rollup_slots, {schema}.rollup_visitors;
INSERT INTO {schema}.rollup_state (generation) SELECT 0 WHERE NOT EXISTS (SELECT FROM {schema}.rollup_state);

-- What the log relies on: which tables these are, with all their parts, and where their rows lie; the columns that are counted;
-- the triggers, and their functions. Whatever is done to the tables past the triggers changes it.
CREATE OR REPLACE FUNCTION {schema}.rollup_fingerprint(tokens REGCLASS, users REGCLASS) RETURNS TEXT
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        WITH RECURSIVE parts (root, id) AS (
            VALUES (1, tokens::OID), (2, users::OID)
            UNION
            SELECT root, inhrelid FROM parts JOIN pg_inherits ON inhparent = id
        )
        SELECT md5(string_agg(concat_ws(' ', root, id, relfilenode, relkind, relpersistence, relrowsecurity,
            (SELECT string_agg(concat_ws(' ', attname, attnum, atttypid, atttypmod), ',' ORDER BY attnum)
             FROM pg_attribute
             WHERE attrelid = id AND attname IN ('id', 'user_id', 'created_at', 'used_at', 'joined_at', 'is_active', 'first_name', 'last_name')),
            (SELECT string_agg(concat_ws(' ', pg_trigger.oid, pg_trigger.xmin, tgenabled, pg_proc.oid, pg_proc.xmin), ',' ORDER BY tgname)
             FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
             WHERE tgrelid = id AND tgname LIKE 'rollup\_%')
        ), ';' ORDER BY root, id))
        FROM parts JOIN pg_class ON pg_class.oid = id
    );
END
$$;

-- No trigger fails a writer: whatever goes wrong in one is logged as a change of everything.
CREATE OR REPLACE FUNCTION {schema}.rollup_log_everything(problem TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.rollup_log (slots, users) VALUES (tsrange(NULL, NULL), int8range(NULL, NULL));
    IF problem IS NOT NULL THEN
        RAISE LOG 'the rollup counts everything anew, since a change of tokens could not be logged: %', problem;
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'a change of tokens could not be logged: %; run `coworking-analytics rollup rebuild`', SQLERRM;
END
$$;
-- What lies outside of the years 1 to 9999 is never kept, and so is never logged.
CREATE OR REPLACE FUNCTION {schema}.rollup_log_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    logged BIGINT;
BEGIN
    -- A few tokens, as the door's service writes them: no sorting, no merging.
    INSERT INTO {schema}.rollup_log (slots, users)
    SELECT CASE WHEN at >= '0001-01-01' AND at < '10000-01-01' THEN tsrange(
               date_bin('15 minutes', at, TIMESTAMP '2000-01-01'),
               date_bin('15 minutes', at, TIMESTAMP '2000-01-01') + INTERVAL '15 minutes'
           ) END, users
    FROM (SELECT user_id, created_at, used_at FROM new_rows LIMIT 9) AS few
    CROSS JOIN LATERAL (VALUES (created_at, int8range(user_id, user_id::BIGINT + 1)), (used_at, NULL)) AS touched (at, users)
    WHERE at IS NOT NULL OR users IS NOT NULL;
    GET DIAGNOSTICS logged = ROW_COUNT;
    IF logged < 9 THEN
        RETURN NULL;
    END IF;
    -- There may be more of them.
    INSERT INTO {schema}.rollup_log (slots, users)
    {inserted};
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM {schema}.rollup_log_everything(SQLERRM);
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION {schema}.rollup_log_updated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.rollup_log (slots, users)
    {updated};
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM {schema}.rollup_log_everything(SQLERRM);
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION {schema}.rollup_log_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.rollup_log (slots, users)
    {deleted};
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM {schema}.rollup_log_everything(SQLERRM);
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION {schema}.rollup_log_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM {schema}.rollup_log_everything(NULL);
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION {schema}.rollup_log_users() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.rollup_log DEFAULT VALUES;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM {schema}.rollup_log_everything(SQLERRM);
    RETURN NULL;
END
$$;
-- Rows that come by logical replication, or in a session that plays a replica, set off none of the triggers above, which are
-- for statements. These are for rows; of a transaction with more than 10,000 of them, everything is logged once.
CREATE OR REPLACE FUNCTION {schema}.rollup_log_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here TEXT := pg_current_xact_id()::TEXT;
    logged TEXT[];
    so_far INTEGER := 0;
BEGIN
    -- Ends with the transaction, and with a savepoint that is rolled back: as the rows in the log do.
    logged := string_to_array(current_setting('coworking_rollup.tokens', true), ' ');
    IF logged[1] = here THEN
        so_far := logged[2]::INTEGER;
    END IF;
    IF so_far > 10000 THEN
        RETURN NULL;
    END IF;
    IF so_far = 10000 THEN
        PERFORM {schema}.rollup_log_everything(NULL);
    ELSE
        INSERT INTO {schema}.rollup_log (slots, users)
        SELECT CASE WHEN at >= '0001-01-01' AND at < '10000-01-01' THEN tsrange(
                   date_bin('15 minutes', at, TIMESTAMP '2000-01-01'),
                   date_bin('15 minutes', at, TIMESTAMP '2000-01-01') + INTERVAL '15 minutes'
               ) END, users
        FROM (VALUES
            (OLD.created_at, CASE WHEN TG_OP <> 'INSERT' THEN int8range(OLD.user_id, OLD.user_id::BIGINT + 1) END),
            (OLD.used_at, NULL),
            (NEW.created_at, CASE WHEN TG_OP <> 'DELETE' THEN int8range(NEW.user_id, NEW.user_id::BIGINT + 1) END),
            (NEW.used_at, NULL)
        ) AS touched (at, users)
        WHERE at IS NOT NULL OR users IS NOT NULL;
    END IF;
    PERFORM set_config('coworking_rollup.tokens', here || ' ' || so_far + 1, true);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM {schema}.rollup_log_everything(SQLERRM);
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION {schema}.rollup_log_users_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('coworking_rollup.users', true) IS DISTINCT FROM pg_current_xact_id()::TEXT THEN
        INSERT INTO {schema}.rollup_log DEFAULT VALUES;
        PERFORM set_config('coworking_rollup.users', pg_current_xact_id()::TEXT, true);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM {schema}.rollup_log_everything(SQLERRM);
    RETURN NULL;
END
$$;

-- Statements set off the triggers of the table that they name: so each part has its own.
DO $$
DECLARE
    part RECORD;
    made RECORD;
BEGIN
    FOR part IN {parts} SELECT root, id::REGCLASS AS name, relkind FROM parts JOIN pg_class ON pg_class.oid = id LOOP
        FOR made IN {triggers} LOOP
            EXECUTE format('CREATE OR REPLACE TRIGGER %s AFTER %s ON %s %s EXECUTE FUNCTION {schema}.%s()',
                made.name, made.event, part.name, made.manner, made.function);
            EXECUTE format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %s', part.name,
                CASE made.enabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, made.name);
        END LOOP;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION {schema}.rollup_log_everything(TEXT), {schema}.rollup_log_inserted(), {schema}.rollup_log_updated(),
    {schema}.rollup_log_deleted(), {schema}.rollup_log_truncated(), {schema}.rollup_log_users(), {schema}.rollup_log_row(),
    {schema}.rollup_log_users_row() FROM PUBLIC;

-- A superuser lends its rights to nobody: all of it belongs to a role that may do nothing else.
DO $$
DECLARE
    tokens_owner TEXT := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = '{tokens}'::REGCLASS);
    name TEXT;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN;
    END IF;
    BEGIN
        CREATE ROLE coworking_rollup NOLOGIN NOINHERIT;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'coworking_rollup'
                       AND (rolsuper OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls))
           OR EXISTS (SELECT FROM pg_auth_members WHERE 'coworking_rollup'::REGROLE IN (member, roleid)) THEN
            RAISE EXCEPTION 'the role coworking_rollup may do more than own a rollup, or others may act as it: take its login, attributes and memberships away, or drop it';
        END IF;
    END;
    GRANT USAGE ON SCHEMA {schema} TO coworking_rollup;
    FOREACH name IN ARRAY ARRAY['rollup_days', 'rollup_users', 'rollup_log', 'rollup_state'] LOOP
        EXECUTE format('ALTER TABLE {schema}.%I OWNER TO coworking_rollup', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.%I TO %I', name, tokens_owner);
    END LOOP;
    FOR name IN
        SELECT oid::REGPROCEDURE FROM pg_proc
        WHERE pronamespace = '{schema}'::REGNAMESPACE AND (proname LIKE 'rollup\_log\_%' OR proname = 'rollup_fingerprint')
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO coworking_rollup', name);
    END LOOP;
END
$$;
