"""Writing HTML and SVG: everything is escaped unless it was made here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

# Elements without content; the slash ends those of SVG and is ignored in those of HTML.
_VOID = frozenset(("meta", "input", "rect", "polyline", "path"))


class Markup(str):
    """Text that is markup already. Nothing but :func:`tag` and :func:`joined` makes it out of plain text."""

    __slots__ = ()


Content: TypeAlias = "str | int | Iterable[str]"
Attribute: TypeAlias = "str | int | float | bool | None"


def tag(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """An element. A trailing ``_`` of an attribute's name is dropped, others become ``-``.

    Args:
        content: text, which is escaped; markup, which is not; or several of either.
        attributes: None and False leave one out, True gives it no value, floats are rounded to 1/100.
    """
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    return Markup(f"{opened}/>" if name in _VOID else f"{opened}>{joined(*content)}</{name}>")


def joined(*content: Content) -> Markup:
    """Several pieces in a row."""
    return Markup("".join(_safe(piece) for piece in content))


def _safe(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    if isinstance(content, (str, int)):
        return escape(str(content))
    return "".join(_safe(piece) for piece in content)


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
