-- Faces in the bank keep the picture they were found in (so that they can be embedded again for another space), where they come from, and when they
-- last came in or went out: a match made while they were in may have rested on them.
ALTER TABLE facebank ADD COLUMN picture VARCHAR;
ALTER TABLE facebank ADD COLUMN episode_id BIGINT;
ALTER TABLE facebank ADD COLUMN track_id BIGINT;
ALTER TABLE facebank ADD COLUMN changed_at TIMESTAMP;
UPDATE facebank SET changed_at = added_at;

-- Imports of pictures are jobs too.
CREATE TABLE job_of_any_kind (
    job_id BIGINT PRIMARY KEY,
    kind VARCHAR NOT NULL CHECK (kind IN ('analyse', 'pull', 'import')),
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
INSERT INTO job_of_any_kind SELECT * FROM job;
DROP TABLE job;
ALTER TABLE job_of_any_kind RENAME TO job;
