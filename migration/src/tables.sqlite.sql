-- The PostgreSQL tables in SQLite's words. Times are UTC text, 'YYYY-MM-DD HH:MM:SS[.ffffff]'.
CREATE TABLE IF NOT EXISTS users (
    id INTEGER NOT NULL CONSTRAINT users_pk PRIMARY KEY AUTOINCREMENT,
    first_name VARCHAR(50) NOT NULL,
    last_name VARCHAR(50) NOT NULL,
    joined_at DATETIME NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL
);
CREATE INDEX IF NOT EXISTS users_is_active_index ON users (is_active);
CREATE TABLE IF NOT EXISTS tokens (
    id INTEGER NOT NULL CONSTRAINT tokens_pk PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL CONSTRAINT tokens_users_id_fk REFERENCES users,
    token VARCHAR(6) NOT NULL,
    created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')) NOT NULL,
    used_at DATETIME
);
CREATE INDEX IF NOT EXISTS tokens_user_id_token_used_at_index ON tokens (user_id, token, used_at);
