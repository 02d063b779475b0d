"""Availability of a backend on this machine."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..ir import BackendError


class Here(ABC):
    """A backend that is available where :meth:`ready` does not fail."""

    @abstractmethod
    def ready(self) -> object:
        """The parts that building needs: the engine's package, and a device where it needs one.

        Raises:
            BackendError: it is missing; says what to install.
        """

    def unavailable(self) -> str | None:
        """The reason why it cannot build here, None where it can."""
        try:
            self.ready()
        except BackendError as error:
            return str(error)
        return None
