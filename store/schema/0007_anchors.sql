-- The faces a decision is about, all of them in one row (see store/anchored.py for what is in it). How they looked is not kept beside it: whoever
-- wants to know finds the faces by it, and looks.
CREATE TABLE remembered (
    decision_id BIGINT NOT NULL,
    episode_id BIGINT NOT NULL,
    faces BLOB NOT NULL
);
INSERT INTO remembered
    SELECT decision_id, any_value(episode_id), encode(CAST(to_json(list({
        decision_id: decision_id, number: number, part: part, episode_id: episode_id, start_us: start_us, end_us: end_us, t_us: t_us, boxes: boxes
    } ORDER BY number)) AS VARCHAR)) FROM anchor GROUP BY decision_id ORDER BY decision_id;
DROP TABLE anchor;
ALTER TABLE remembered RENAME TO anchor;
