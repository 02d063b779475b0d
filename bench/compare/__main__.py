"""``python -m bench.compare NAME [--quick] [--only MODEL ...] [--json FILE] [--markdown FILE]``."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from rich.console import Console
from rich.markdown import Markdown

from ._table import Options, Table


def names() -> list[str]:
    """Comparisons there are."""
    return sorted(m.name for m in iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument("--quick", action="store_true", help="a subset that takes about a minute")
    parser.add_argument("--only", nargs="*", default=[], help="restrict to these models")
    parser.add_argument("--work", type=Path, help="'engines': keep what is made here and go on from it")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    given = parser.parse_args()
    module = import_module(f"{__package__}.{given.name}")
    table: Table = module.run(Options(given.quick, tuple(given.only), given.work))
    for path, text in ((given.json, table.to_json()), (given.markdown, table.to_markdown())):
        if path is not None:
            path.write_text(text, encoding="utf-8")
    Console().print(Markdown(table.to_markdown()))


if __name__ == "__main__":
    main()
