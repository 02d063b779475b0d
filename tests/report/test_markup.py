from __future__ import annotations

from prunepass.report._markup import Markup, joined, tag


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>", tag("b", "x")) == "<p>&lt;b&gt;<b>x</b></p>"
    assert joined(["a&b", Markup("<i></i>")]) == "a&amp;b<i></i>"


def test_attributes_are_escaped_and_named_as_html_names_them() -> None:
    made = tag("a", class_="x", data_name='"><', hidden=False, id_=None)
    assert made == '<a class="x" data-name="&quot;&gt;&lt;"></a>'
    assert tag("input", disabled=True) == "<input disabled/>"


def test_numbers_are_short() -> None:
    assert tag("rect", x=1.0, y=0.333333) == '<rect x="1" y="0.33"/>'
    assert tag("rect", x=100.0) == '<rect x="100"/>'
