"""The table of policies."""

from __future__ import annotations

from ...ir import Table, configurable

_POLICIES = Table("policy", "prunepass.policies", {}, __package__, configurable)


def policies() -> Table:
    """Policies by name; other distributions add theirs through ``prunepass.policies``."""
    return _POLICIES
