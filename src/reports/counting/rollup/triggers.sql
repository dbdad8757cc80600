SELECT * FROM (VALUES
    ('tokens', 'rollup_tokens_inserted', 'INSERT', 'O', 'REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT', 'rollup_log_inserted'),
    ('tokens', 'rollup_tokens_updated', 'UPDATE', 'O', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT', 'rollup_log_updated'),
    ('tokens', 'rollup_tokens_deleted', 'DELETE', 'O', 'REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT', 'rollup_log_deleted'),
    ('tokens', 'rollup_tokens_truncated', 'TRUNCATE', 'A', 'FOR EACH STATEMENT', 'rollup_log_truncated'),
    ('tokens', 'rollup_tokens_replicated', 'INSERT OR UPDATE OR DELETE', 'R', 'FOR EACH ROW', 'rollup_log_row'),
    ('users', 'rollup_users_changed', 'INSERT OR UPDATE OR DELETE', 'O', 'FOR EACH STATEMENT', 'rollup_log_users'),
    ('users', 'rollup_users_truncated', 'TRUNCATE', 'A', 'FOR EACH STATEMENT', 'rollup_log_users'),
    ('users', 'rollup_users_replicated', 'INSERT OR UPDATE OR DELETE', 'R', 'FOR EACH ROW', 'rollup_log_users_row')
) AS wanted (root, name, event, enabled, manner, function)
-- Those for rows are of what has rows of its own.
WHERE wanted.root = part.root AND (wanted.enabled <> 'R' OR part.relkind = 'r')
