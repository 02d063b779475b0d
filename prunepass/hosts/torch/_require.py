"""The package that torch models need, asked for once with an answer that helps."""

from __future__ import annotations

from importlib.util import find_spec

from ...ir import BackendError

if find_spec("torch") is None:
    raise BackendError("torch models need the package torch", advice="pip install 'prunepass[torch]'")
