-- Times in the usual form are sorted by their text. Texts in other forms are few, and have indexes of their own.
CREATE INDEX IF NOT EXISTS tokens_created_at_index ON tokens (created_at);
CREATE INDEX IF NOT EXISTS tokens_created_at_odd_index ON tokens (created_at) WHERE substr(created_at, 5, 1) <> '-';
CREATE INDEX IF NOT EXISTS tokens_used_at_index ON tokens (used_at);
CREATE INDEX IF NOT EXISTS tokens_used_at_odd_index ON tokens (used_at) WHERE substr(used_at, 5, 1) <> '-';
