-- A season's roll-up is an export too, and belongs to no single episode or run.
ALTER TABLE export ALTER COLUMN episode_id DROP NOT NULL;
ALTER TABLE export ALTER COLUMN run_id DROP NOT NULL;

ALTER TABLE episode ADD COLUMN air_date DATE;

-- Other names a show is referred to by.
ALTER TABLE "show" ADD COLUMN aliases VARCHAR[] DEFAULT [];
