"""Which alpaca-py runs: the installed one, or something else that bears its name (R46).

A package of ours that was called like it once hid it, and a whole system traded nothing while it said that it did.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "alpaca-py"
PACKAGE: Final = "alpaca"


class NotTheSdk(RuntimeError):
    """What ``import alpaca`` finds is not alpaca-py, or is not there at all."""

    exit_code = 2


def installed() -> str:
    """Return the version of alpaca-py, proved to be what is imported; nothing is imported for it.

    Raises:
        NotTheSdk: it is missing, or hidden by something else.
    """
    try:
        found = distribution(DISTRIBUTION)
    except PackageNotFoundError as e:
        raise NotTheSdk(f"{DISTRIBUTION}: is not installed") from e
    own = Path(str(found.locate_file(PACKAGE))).resolve() / "__init__.py"
    spec = find_spec(PACKAGE)
    imported = Path(spec.origin).resolve() if spec and spec.origin else None
    if imported != own:
        raise NotTheSdk(f"{DISTRIBUTION} {found.version}: `import {PACKAGE}` finds {imported}, not {own}")
    return found.version
