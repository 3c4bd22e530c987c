-- Who looked last at a position that was ever open, and until when somebody must look again. Times are the database's
-- own: neither the holders' clocks matter nor the clock of a recorded day. Without an evaluator nobody has looked yet.
CREATE TABLE evaluations (
    position_id uuid PRIMARY KEY REFERENCES positions,
    evaluator   text CHECK (evaluator <> ''),
    looked_at   timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    -- Somebody must look again after the last look.
    CHECK (due_at > looked_at)
) WITH (fillfactor = 50);

-- A position is to be evaluated from the moment it is open, whoever made it so; a first look may take five seconds.
CREATE FUNCTION expect_evaluation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO evaluations (position_id, looked_at, due_at)
    VALUES (NEW.position_id, clock_timestamp(), clock_timestamp() + interval '5 seconds')
    ON CONFLICT (position_id) DO UPDATE SET evaluator = NULL, looked_at = EXCLUDED.looked_at, due_at = EXCLUDED.due_at;
    RETURN NULL;
END $$;
CREATE TRIGGER opened_is_evaluated AFTER INSERT ON positions FOR EACH ROW
    WHEN (NEW.closed_at IS NULL) EXECUTE FUNCTION expect_evaluation();
-- A late fill may open a position again.
CREATE TRIGGER opened_again_is_evaluated AFTER UPDATE ON positions FOR EACH ROW
    WHEN (OLD.closed_at IS NOT NULL AND NEW.closed_at IS NULL) EXECUTE FUNCTION expect_evaluation();

INSERT INTO evaluations (position_id, looked_at, due_at)
SELECT position_id, clock_timestamp(), clock_timestamp() + interval '5 seconds' FROM positions WHERE closed_at IS NULL;
