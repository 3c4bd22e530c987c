-- Policies of before have no steps: they close at the market, as they did.
UPDATE exit_plans SET policy = '{"close_steps": []}'::jsonb || policy;
-- What was in force stays what it was; it only says now what nobody could say then.
ALTER TABLE exit_policies DISABLE TRIGGER policies_are_history;
UPDATE exit_policies SET policy = '{"close_steps": []}'::jsonb || policy;
ALTER TABLE exit_policies ENABLE TRIGGER policies_are_history;

-- How many steps on its way to the market a close has begun; at 100 it is there.
ALTER TABLE exit_plans ADD COLUMN close_step integer NOT NULL DEFAULT 0 CHECK (close_step BETWEEN 0 AND 100);

-- Exit state may only tighten: what a rule asked for stays asked for, a rung that was acted on stays so, the best and
-- the worst price only move apart, and a close only moves towards the market: it begins anew for a higher rung, or
-- when a rule asks for the whole.
DROP TRIGGER exit_state_only_tightens ON exit_plans;
CREATE TRIGGER exit_state_only_tightens BEFORE UPDATE ON exit_plans FOR EACH ROW WHEN (
    (OLD.triggered_rule IS NOT NULL AND NEW.triggered_rule IS DISTINCT FROM OLD.triggered_rule)
    OR (OLD.ladder_pct IS NOT NULL AND (NEW.ladder_pct IS NULL OR NEW.ladder_pct < OLD.ladder_pct))
    OR (NEW.close_step < OLD.close_step AND NEW.triggered_rule IS NOT DISTINCT FROM OLD.triggered_rule
        AND NEW.ladder_pct IS NOT DISTINCT FROM OLD.ladder_pct)
    OR (OLD.peak IS NOT NULL AND (NEW.peak IS NULL OR NEW.trough IS NULL
        OR least(NEW.peak, NEW.trough) > least(OLD.peak, OLD.trough)
        OR greatest(NEW.peak, NEW.trough) < greatest(OLD.peak, OLD.trough))))
    EXECUTE FUNCTION refuse_looser_exit();

ALTER TABLE orders ADD COLUMN awaited_until timestamptz;
-- A limit of ours that closes is awaited until a time that is known, and nothing else is.
ALTER TABLE orders ADD CONSTRAINT a_closing_limit_has_an_end CHECK ((awaited_until IS NOT NULL)
    = (type = 'limit' AND NOT external AND intent IN ('buy_to_close', 'sell_to_close')));
CREATE TRIGGER a_limit_is_awaited_as_was_said BEFORE UPDATE ON orders
    FOR EACH ROW WHEN (OLD.awaited_until IS DISTINCT FROM NEW.awaited_until) EXECUTE FUNCTION refuse_change_of_order();

-- The reconciler looks every second whether a close was refused because the brokerage does not hold what we believe.
CREATE INDEX refused_closes ON orders (account, ended_at) WHERE status = 'rejected' AND NOT opening AND NOT external;
