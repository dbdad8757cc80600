-- Once nothing is logged any more, nothing may be read from the counts, nor counted anew: all is out of date for
-- good, and whoever looks for the rollup finds none.
LOCK TABLE rollup_state IN EXCLUSIVE MODE;
DELETE FROM rollup_state;
DROP TRIGGER IF EXISTS rollup_tokens_inserted ON tokens;
DROP TRIGGER IF EXISTS rollup_tokens_updated ON tokens;
DROP TRIGGER IF EXISTS rollup_tokens_deleted ON tokens;
DROP TRIGGER IF EXISTS rollup_tokens_truncated ON tokens;
