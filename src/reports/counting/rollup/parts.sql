WITH RECURSIVE parts (root, id) AS (
    VALUES ('tokens', '{tokens}'::REGCLASS::OID), ('users', '{users}'::REGCLASS::OID)
    UNION
    SELECT root, inhrelid FROM parts JOIN pg_inherits ON inhparent = id
)
