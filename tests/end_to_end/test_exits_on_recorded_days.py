"""Three recorded sessions under each policy; skipped where they are not beside the repository.

Every position ends at the same time, at the same price and by the same rule on every run: as in the table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.exits import reason_of
from tests.end_to_end.exit_outcomes import COLUMNS, DAYS, NAMES, OVER, expected, outcomes

#: A day is under a minute of work, on a machine that does nothing else.
PATIENCE_S = 600

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(PATIENCE_S),
    pytest.mark.skipif(not DAYS.is_dir(), reason="no recorded days in ../shared/market-data"),
]


@pytest.mark.parametrize("policy", OVER)
@pytest.mark.parametrize("day", NAMES)
def test_a_position_ends_as_it_did_before(day: str, policy: str, tmp_path: Path):
    """Write the table again with `python -m tests.end_to_end.exit_outcomes`, and look at what changed."""
    found = outcomes(day, policy, tmp_path)

    assert expected(day, policy) == found
    reasons = {(row[COLUMNS.index("exit_reason")], row[COLUMNS.index("exit_rule")]) for row in found}
    assert all(reason_of(rule) == reason for reason, rule in reasons if rule)
