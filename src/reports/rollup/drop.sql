DROP TABLE IF EXISTS rollup_state, rollup_log, rollup_slots, rollup_visitors, rollup_users;
DROP FUNCTION IF EXISTS rollup_log_inserted(), rollup_log_updated(), rollup_log_deleted(), rollup_log_truncated();
DROP FUNCTION IF EXISTS rollup_log_users();
