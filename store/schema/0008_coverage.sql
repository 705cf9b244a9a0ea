-- What a decision covers in a run, all of it in one row (see store/covered.py for what is in it).
CREATE TABLE covered (
    run_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    decision_id BIGINT NOT NULL,
    covers BLOB NOT NULL
);
INSERT INTO covered
    SELECT run_id, any_value(episode_id), decision_id, encode(CAST(to_json(list({
        number: number, part: part, track: track_id % 100000, start_us: start_us, end_us: end_us, level: level
    } ORDER BY number, track_id)) AS VARCHAR)) FROM coverage GROUP BY run_id, decision_id ORDER BY run_id, decision_id;
DROP TABLE coverage;
ALTER TABLE covered RENAME TO coverage;
