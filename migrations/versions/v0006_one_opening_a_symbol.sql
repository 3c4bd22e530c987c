-- What is ordered or held in a symbol is not ordered again: the second order would fill into a second open position,
-- which one_open_position_per_symbol refuses, and a fill that cannot be recorded is a lost fill. So it is refused here,
-- before it leaves. It stands before no fill, no adoption and no close.
CREATE FUNCTION refuse_second_opening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Two at once take turns, as decisions do.
    PERFORM FROM accounts WHERE account = NEW.account FOR NO KEY UPDATE;
    IF EXISTS (SELECT 1 FROM commitments
                WHERE account = NEW.account AND symbol = NEW.symbol AND position_id <> NEW.position_id) THEN
        RAISE EXCEPTION 'account % has ordered or holds % already', NEW.account, NEW.symbol
            USING ERRCODE = 'check_violation', CONSTRAINT = 'one_opening_per_symbol';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER one_opening_per_symbol AFTER INSERT ON orders
    FOR EACH ROW WHEN (NEW.intent IN ('buy_to_open', 'sell_to_open') AND NOT NEW.external)
    EXECUTE FUNCTION refuse_second_opening();
