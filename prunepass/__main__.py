"""``python -m prunepass`` is the command ``prunepass``."""

from .cli import main

raise SystemExit(main())
