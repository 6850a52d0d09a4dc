-- What is looked for has a column of its own; the rest is the document that `msctl history` gives.
CREATE TABLE deployments (
    service    TEXT NOT NULL,
    number     INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    -- In milliseconds since 1970.
    began_at   INTEGER NOT NULL,
    -- Whether something may still become of it.
    is_open    INTEGER NOT NULL,
    document   TEXT NOT NULL,
    PRIMARY KEY (service, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX deployments_by_time ON deployments (began_at);
