-- Why a rollup beside these tables could not tell what changes in them: sentences, none where it can.
{parts}, part AS (
    SELECT root, id, format('%I.%I', nspname, relname) AS name, relkind, relpersistence, relrowsecurity
    FROM parts JOIN pg_class ON pg_class.oid = id JOIN pg_namespace ON pg_namespace.oid = relnamespace
), expected (root, attname, type) AS (
    VALUES ('tokens', 'user_id', 'integer'), ('tokens', 'created_at', 'timestamp without time zone'),
           ('tokens', 'used_at', 'timestamp without time zone')
), fault (rank, sentence) AS (
    SELECT 1, format('%s is a view: a rollup is made beside the table itself', name) FROM part WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT 1, format('%s is a foreign table: what changes in it is not seen here', name) FROM part WHERE relkind = 'f'
    UNION ALL
    SELECT 1, 'the database is one of Citus'', whose tables change past this server' WHERE to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL
    UNION ALL
    SELECT 1, format('%s is not logged, and is emptied after a crash: ALTER TABLE %1$s SET LOGGED', name)
    FROM part WHERE relpersistence <> 'p' AND relkind = 'r'
    UNION ALL
    SELECT 1, format('%s has row-level security, under which each role sees other rows, and a rollup would show all of them', name)
    FROM part WHERE relrowsecurity AND root = 'tokens'
    UNION ALL
    SELECT 1, format('%s.%s is %s, and has to be %s', name, expected.attname, coalesce(format_type(atttypid, NULL), 'missing'), type)
    FROM part JOIN expected USING (root)
    LEFT JOIN pg_attribute ON attrelid = id AND pg_attribute.attname = expected.attname AND NOT attisdropped
    WHERE format_type(atttypid, NULL) IS DISTINCT FROM type
    {and triggers}
)
SELECT sentence FROM fault ORDER BY rank, sentence LIMIT 20
