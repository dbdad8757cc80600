-- The rollup in SQLite. Readers take what the log does not name from here, and look at the tokens for what it names.
--
-- The door codes of a day of UTC, as bytes; src/reports/counting/rollup/days.rs says how.
CREATE TABLE IF NOT EXISTS rollup_days (
    day TEXT NOT NULL PRIMARY KEY,
    counts BLOB NOT NULL,
    used BLOB NOT NULL,
    waits BLOB NOT NULL,
    unused BLOB NOT NULL,
    came BLOB NOT NULL
);
-- Counts by member. Times are texts in the one form that sorts by time.
CREATE TABLE IF NOT EXISTS rollup_users (
    user_id INTEGER NOT NULL PRIMARY KEY,
    issued INTEGER NOT NULL,
    used INTEGER NOT NULL,
    first_visit_at TEXT,
    last_visit_at TEXT,
    first_visit_issued_at TEXT
);
-- What was written to since it was counted: a UTC date, a member's id, 'users' for the table users, 'odd' for a member's
-- id that is none; anything else means nothing. The triggers write one value at a time, and meet no constraint.
CREATE TABLE IF NOT EXISTS rollup_log (what NOT NULL PRIMARY KEY) WITHOUT ROWID;
-- One row: how many refreshes there were, and when the last was (whose last six digits are random, so that no two are the
-- same); the state of `users` (a random text, another one after
-- each refresh that finds a change); the version of the schema that the triggers were seen in; and whether the log names
-- everything that was never counted.
CREATE TABLE IF NOT EXISTS rollup_state (
    generation INTEGER NOT NULL,
    refreshed_at TEXT,
    users_id TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    is_listed BOOLEAN NOT NULL
);
