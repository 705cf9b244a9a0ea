-- What people, agents and scripts decided, and the labels that follow from it.

-- What the machine said of each track, kept apart from the labels in force so that undoing every decision gives it back exactly.
CREATE TABLE machine_label AS
    SELECT run_id, episode_id, track_id, cluster_id, person_id, method, score, threshold FROM assignment;

-- The label in force for each piece of a track: the whole of it, or a stretch when decisions cut it. person_id NULL: unidentified.
-- rejected: people decided not to be here.
CREATE TABLE piece AS
    SELECT a.run_id, a.episode_id, a.track_id, t.start_us, t.end_us, a.cluster_id, a.person_id, false AS excluded, a.label_source,
           'machine' AS level, a.method, a.score, a.threshold, a.locked, CAST(NULL AS BIGINT) AS decision_id, a.rev, CAST([] AS BIGINT[]) AS rejected
    FROM assignment a JOIN track t ON t.run_id = a.run_id AND t.track_id = a.track_id;
DROP TABLE assignment;
ALTER TABLE piece RENAME TO assignment;

-- Append-only. Nothing here names a track or a cluster: see `anchor`. `voids`: decisions this one takes back (undo, or the redo of an undo).
CREATE TABLE decision (
    decision_id BIGINT PRIMARY KEY,
    batch BIGINT NOT NULL,
    logged_at TIMESTAMP NOT NULL,
    actor VARCHAR NOT NULL,
    verb VARCHAR NOT NULL,
    level VARCHAR,
    show_id BIGINT,
    episode_id BIGINT,
    person_id BIGINT,
    parameters JSON NOT NULL,
    reason VARCHAR,
    source VARCHAR NOT NULL,
    voids BIGINT[] NOT NULL,
    idem_key VARCHAR NOT NULL
);

-- The faces a decision is about: a stretch of time, the path of boxes through it (x1 y1 x2 y2 for each t_us, normalised, at most 0.5 s apart) and
-- the face as it looked to the embedder. `part` tells the sides of a split or a merge apart.
CREATE TABLE anchor (
    decision_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    part INTEGER NOT NULL,
    episode_id BIGINT NOT NULL,
    start_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL,
    t_us BIGINT[] NOT NULL,
    boxes FLOAT[] NOT NULL,
    space VARCHAR,
    embedding FLOAT[]
);

-- Where the anchors of a decision lie in a run: disposable, found again for every run. `level` is that in this run.
CREATE TABLE coverage (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    decision_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    part INTEGER NOT NULL,
    track_id BIGINT NOT NULL,
    start_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL,
    level VARCHAR NOT NULL
);

-- The newest decision the totals and suggestions of a run know of.
ALTER TABLE run ADD COLUMN settled_seq BIGINT DEFAULT 0;

-- Who a piece nobody decided may be, with what was decided elsewhere in mind.
CREATE TABLE suggestion (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    track_id BIGINT NOT NULL,
    start_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL,
    person_id BIGINT NOT NULL,
    probability FLOAT NOT NULL
);

ALTER TABLE person ADD COLUMN merged_into BIGINT;
ALTER TABLE person ADD COLUMN archived BOOLEAN DEFAULT false;
ALTER TABLE person ADD COLUMN featured VARCHAR;

-- Faces of people picked by hand, for matching. `active` follows the decision that put the face in.
CREATE TABLE facebank (
    entry_id BIGINT NOT NULL,
    show_id BIGINT NOT NULL,
    person_id BIGINT NOT NULL,
    space VARCHAR NOT NULL,
    vector FLOAT[] NOT NULL,
    quality FLOAT NOT NULL,
    chip VARCHAR,
    origin VARCHAR NOT NULL,
    decision_id BIGINT NOT NULL,
    active BOOLEAN NOT NULL,
    added_at TIMESTAMP NOT NULL
);

-- What to ask next about a run, best first, as the last settling left it.
CREATE TABLE queue_item (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    rank INTEGER NOT NULL,
    at_risk_s DOUBLE NOT NULL,
    item JSON NOT NULL
);

-- Pieces the review queue leaves alone until a moment.
CREATE TABLE snooze (
    episode_id BIGINT NOT NULL,
    track_id BIGINT NOT NULL,
    start_us BIGINT NOT NULL,
    until TIMESTAMP NOT NULL
);
