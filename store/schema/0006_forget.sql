-- Somebody who was forgotten is a row without a name: what was decided about them still has somebody it is about.
CREATE OR REPLACE VIEW called AS
SELECT person_id,
       CASE WHEN erased_at IS NOT NULL THEN 'Erased ' || person_id ELSE coalesce(name, 'Unknown ' || person_id) END AS called,
       CASE WHEN name IS NULL THEN 'unknown' ELSE 'known' END AS kind
FROM person;
