-- The first schema: catalog, machine results per run, people's commands, work.
-- No foreign keys and no secondary indexes: rows arrive sorted, episode by episode, and zone maps answer; `doctor` runs the integrity queries.
-- Times: *_us are microseconds of the recording's own clock; TIMESTAMP columns are UTC.

-- The last id given in each table.
CREATE TABLE counter (
    name VARCHAR PRIMARY KEY,
    last BIGINT NOT NULL
);

CREATE TABLE "show" (
    show_id BIGINT PRIMARY KEY,
    slug VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE episode (
    episode_id BIGINT PRIMARY KEY,
    show_id BIGINT NOT NULL,
    season INTEGER,
    number INTEGER,
    title VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('file', 'live')),
    path VARCHAR NOT NULL,
    media_digest VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    fps DOUBLE NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    media JSON NOT NULL,
    active_run_id BIGINT,
    added_at TIMESTAMP NOT NULL
);

-- A person without a name is an unknown: the id is stable, the name may come later.
CREATE TABLE person (
    person_id BIGINT PRIMARY KEY,
    show_id BIGINT NOT NULL,
    name VARCHAR,
    aliases VARCHAR[] NOT NULL,
    consent VARCHAR,
    erased_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL
);

-- What everybody is called, unknowns too.
CREATE VIEW called AS
SELECT person_id, coalesce(name, 'Unknown ' || person_id) AS called, CASE WHEN name IS NULL THEN 'unknown' ELSE 'known' END AS kind FROM person;

CREATE TABLE cast_membership (
    show_id BIGINT NOT NULL,
    season INTEGER,
    person_id BIGINT NOT NULL,
    role VARCHAR,
    added_at TIMESTAMP NOT NULL
);

-- A complete analysis of one episode under one set of fingerprints.
CREATE TABLE run (
    run_id BIGINT PRIMARY KEY,
    episode_id BIGINT NOT NULL,
    key VARCHAR NOT NULL,
    state VARCHAR NOT NULL CHECK (state IN ('loading', 'committed')),
    created_at TIMESTAMP NOT NULL,
    committed_at TIMESTAMP,
    step_us BIGINT NOT NULL,
    space VARCHAR NOT NULL,
    settings JSON NOT NULL,
    models JSON NOT NULL,
    stages JSON NOT NULL,
    unidentified_s DOUBLE NOT NULL
);

CREATE TABLE segment (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    segment INTEGER NOT NULL,
    start_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL,
    observe_key VARCHAR NOT NULL,
    track_key VARCHAR NOT NULL
);

CREATE TABLE shot (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    shot INTEGER NOT NULL,
    start_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL,
    thread INTEGER NOT NULL
);

CREATE TABLE detection (
    detection_id BIGINT NOT NULL,
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    t_us BIGINT NOT NULL,
    x1 FLOAT NOT NULL,
    y1 FLOAT NOT NULL,
    x2 FLOAT NOT NULL,
    y2 FLOAT NOT NULL,
    score FLOAT NOT NULL,
    quality FLOAT NOT NULL,
    track_id BIGINT
);

CREATE TABLE track (
    track_id BIGINT NOT NULL,
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    shot INTEGER NOT NULL,
    start_us BIGINT NOT NULL,
    end_us BIGINT NOT NULL,
    faces INTEGER NOT NULL,
    score FLOAT NOT NULL,
    height_px FLOAT NOT NULL,
    quality FLOAT NOT NULL,
    spread FLOAT NOT NULL,
    mixed BOOLEAN NOT NULL,
    best_detection_id BIGINT NOT NULL,
    chip VARCHAR
);

-- References into the vector store: table `track_<space>`, column `vector_id`.
CREATE TABLE track_embedding (
    vector_id BIGINT NOT NULL,
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    track_id BIGINT NOT NULL,
    quality FLOAT NOT NULL
);

CREATE TABLE cluster (
    cluster_id BIGINT NOT NULL,
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    tracks INTEGER NOT NULL,
    seconds DOUBLE NOT NULL,
    cohesion FLOAT
);

CREATE TABLE membership (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    track_id BIGINT NOT NULL,
    cluster_id BIGINT NOT NULL,
    probability FLOAT NOT NULL
);

-- Who a cluster may be. person_id NULL: nobody who can be named; accepted: the one it is taken for.
CREATE TABLE posterior (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    cluster_id BIGINT NOT NULL,
    person_id BIGINT,
    probability FLOAT NOT NULL,
    similarity FLOAT,
    accepted BOOLEAN NOT NULL
);

-- The label in force for each track of a run. person_id NULL: unidentified.
CREATE TABLE assignment (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    track_id BIGINT NOT NULL,
    cluster_id BIGINT NOT NULL,
    person_id BIGINT,
    label_source VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    score FLOAT NOT NULL,
    threshold FLOAT NOT NULL,
    locked BOOLEAN NOT NULL,
    rev BIGINT NOT NULL
);

CREATE TABLE screen_time (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    person_id BIGINT NOT NULL,
    visual_s DOUBLE NOT NULL,
    visual_low_s DOUBLE NOT NULL,
    visual_high_s DOUBLE NOT NULL,
    solo_s DOUBLE NOT NULL,
    solo_low_s DOUBLE NOT NULL,
    solo_high_s DOUBLE NOT NULL,
    tracks INTEGER NOT NULL,
    faces INTEGER NOT NULL,
    first_us BIGINT NOT NULL,
    last_us BIGINT NOT NULL,
    confidence FLOAT NOT NULL
);

CREATE TABLE co_presence (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    person_a BIGINT NOT NULL,
    person_b BIGINT NOT NULL,
    seconds DOUBLE NOT NULL
);

-- Every change a person, agent or script made, once; the journal beside the database holds the same lines.
CREATE TABLE command (
    seq BIGINT PRIMARY KEY,
    idem_key VARCHAR NOT NULL,
    logged_at TIMESTAMP NOT NULL,
    actor VARCHAR NOT NULL,
    operation VARCHAR NOT NULL,
    parameters JSON NOT NULL,
    result JSON NOT NULL
);

CREATE TABLE job (
    job_id BIGINT PRIMARY KEY,
    kind VARCHAR NOT NULL CHECK (kind IN ('analyse', 'pull')),
    episode_id BIGINT,
    parameters JSON NOT NULL,
    state VARCHAR NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    actor VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP,
    ended_at TIMESTAMP,
    attempts INTEGER NOT NULL,
    result JSON,
    error JSON
);

-- The stage log of a job.
CREATE TABLE job_event (
    job_id BIGINT NOT NULL,
    seq INTEGER NOT NULL,
    logged_at TIMESTAMP NOT NULL,
    stage VARCHAR NOT NULL,
    segment INTEGER,
    status VARCHAR NOT NULL,
    seconds DOUBLE,
    detail VARCHAR NOT NULL
);

CREATE TABLE export (
    export_id BIGINT PRIMARY KEY,
    episode_id BIGINT NOT NULL,
    run_id BIGINT NOT NULL,
    format VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    rows BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Runs whose vectors must still be removed from the vector store.
CREATE TABLE vector_gc (
    run_id BIGINT NOT NULL,
    space VARCHAR NOT NULL
);
