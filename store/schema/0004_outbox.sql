-- What is to be told to whom outside, written in the transaction of what it reports.

-- `salt` and a key beside the database make the secret a hook signs with. No events: all of them.
CREATE TABLE hook (
    hook_id BIGINT PRIMARY KEY,
    url VARCHAR NOT NULL,
    events VARCHAR[] NOT NULL,
    salt VARCHAR NOT NULL,
    added_by VARCHAR NOT NULL,
    added_at TIMESTAMP NOT NULL
);

-- One row a hook and event. Ids only: names and figures are read when the message is sent, so that none outlives a person who was forgotten.
CREATE TABLE outbox (
    delivery_id BIGINT PRIMARY KEY,
    hook_id BIGINT NOT NULL,
    event VARCHAR NOT NULL,
    episode_id BIGINT,
    run_id BIGINT,
    created_at TIMESTAMP NOT NULL,
    state VARCHAR NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts INTEGER NOT NULL,
    next_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    answer VARCHAR
);

-- What an agent would change where its answers wait for a person. `rev`: the newest decision about the faces it saw; `preview`: what it would do.
-- `targets`: track_id, start_us of each piece it is about, one after the other.
CREATE TABLE proposal (
    proposal_id BIGINT PRIMARY KEY,
    actor VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    parameters JSON NOT NULL,
    preview JSON NOT NULL,
    targets BIGINT[] NOT NULL,
    rev BIGINT,
    made_at TIMESTAMP NOT NULL,
    state VARCHAR NOT NULL CHECK (state IN ('waiting', 'accepted', 'dismissed')),
    decided_by VARCHAR,
    decided_at TIMESTAMP,
    batch BIGINT,
    reason VARCHAR
);
