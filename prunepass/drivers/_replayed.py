"""Replay a cut and hold the result in its own host against the reference, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..hosts import Session
from ..ir import Graph, VerificationError
from ..signals import undisturbed
from ._host_check import HostCheck, host_check


@contextmanager
def all_or_nothing(session: Session) -> Iterator[None]:
    """Give the user's own object back as it was if anything in the block fails or stops it."""
    try:
        yield
    except BaseException:
        with undisturbed():
            session.undo()
        raise


def replayed(
    session: Session, before: Graph, after: Graph, *, inplace: bool = False
) -> tuple[Any, HostCheck]:
    """The host's model changed as ``before`` became ``after``, and how its outputs agree with the reference.

    Raises:
        UnsupportedError: the host's own code contradicts the cut; ``constrain`` may avoid it.
        VerificationError: an output differs, and nothing tells why.
    """
    with all_or_nothing(session):
        model = session.replay(before, after, inplace=inplace)
        return model, checked(session, model, before, after)


def checked(session: Session, model: Any, before: Graph, after: Graph) -> HostCheck:
    """The host check of a replayed model; raises as :func:`replayed`."""
    try:
        return host_check(session, model, after)
    except VerificationError as error:
        contradiction = session.explain(model, before, after, error.what)
        if contradiction is None:
            raise
        raise contradiction from error
