DROP TABLE IF EXISTS rollup_state, rollup_log, rollup_slots, rollup_users;
DROP FUNCTION IF EXISTS rollup_log_tokens();
DROP FUNCTION IF EXISTS rollup_log_users();
