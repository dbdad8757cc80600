-- For pgbench: what the coworking service does when a member gets a token, here one that is used at once,
-- so that visits change.
\set user random(1, :users)
INSERT INTO tokens (user_id, token, created_at, used_at)
VALUES (:user, '------', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC');
