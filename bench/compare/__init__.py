"""Each module is one comparison with a function ``run(options) -> Table``; ``python -m bench.compare NAME`` runs it."""
