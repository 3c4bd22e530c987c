-- What was decided about a position and stands in no row of its own: what a rule saw when it asked to leave, a policy
-- that was let govern, an adjustment with its reason. The outbox forgets after a week; this is kept. Append-only.
CREATE TABLE said (
    fact_id     text PRIMARY KEY,
    type        text NOT NULL CHECK (type IN ('ExitTriggered', 'ExitPolicyApplied', 'PositionAdjusted')),
    -- An adjustment names its symbol; its position is that of its fill.
    position_id uuid,
    at          timestamptz NOT NULL,
    body        jsonb NOT NULL,
    CHECK ((position_id IS NULL) = (type = 'PositionAdjusted')),
    -- What is beside the body is what the body says.
    CHECK (position_id IS NULL OR body ->> 'position_id' = position_id::text),
    CHECK (body ->> 'id' = fact_id)
);
CREATE INDEX said_of_a_position ON said (position_id, at);

-- Whoever says it, says it through the outbox: it is kept in the same transaction, or both are not there.
CREATE FUNCTION keep_what_is_said() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO said (fact_id, type, position_id, at, body)
    SELECT fact ->> 'id', NEW.type, (fact ->> 'position_id')::uuid, (fact ->> 'at')::timestamptz, fact
      FROM (SELECT NEW.body::jsonb AS fact) AS told ON CONFLICT (fact_id) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER what_is_said_is_kept AFTER INSERT ON outbox FOR EACH ROW
    WHEN (NEW.type IN ('ExitTriggered', 'ExitPolicyApplied', 'PositionAdjusted')) EXECUTE FUNCTION keep_what_is_said();
CREATE TRIGGER said_is_history BEFORE DELETE OR UPDATE ON said
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER said_is_not_emptied BEFORE TRUNCATE ON said EXECUTE FUNCTION refuse_edit_of_history();

-- What the outbox still holds of the days before.
INSERT INTO said (fact_id, type, position_id, at, body)
SELECT fact ->> 'id', type, (fact ->> 'position_id')::uuid, (fact ->> 'at')::timestamptz, fact
  FROM (SELECT seq, type, body::jsonb AS fact FROM outbox
         WHERE type IN ('ExitTriggered', 'ExitPolicyApplied', 'PositionAdjusted')) AS told
 ORDER BY seq ON CONFLICT (fact_id) DO NOTHING;
