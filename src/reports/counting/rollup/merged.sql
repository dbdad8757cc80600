SELECT unnest(range_agg(tsrange(slot, slot + INTERVAL '15 minutes'))), NULL::INT8RANGE FROM (
        SELECT date_bin('15 minutes', created_at, TIMESTAMP '2000-01-01') AS slot FROM {rows}
        WHERE created_at >= '0001-01-01' AND created_at < '10000-01-01'
        UNION
        SELECT date_bin('15 minutes', used_at, TIMESTAMP '2000-01-01') FROM {rows}
        WHERE used_at >= '0001-01-01' AND used_at < '10000-01-01'
    ) AS touched
    UNION ALL
    SELECT NULL, unnest(range_agg(int8range(user_id, user_id::BIGINT + 1)))
    FROM (SELECT DISTINCT user_id FROM {rows}) AS touched
