"""Notes on what did not follow a cut: few, whatever the number of layers."""

from __future__ import annotations

from prunepass.hosts import UnchangedSize, unchanged_notes


def sizes(name: str, count: int, why: str, value: str = "8") -> list[UnchangedSize]:
    return [UnchangedSize(f"layers.{i}.{name}", value, why.format(i + 3)) for i in range(count)]


def test_layers_that_say_the_same_of_one_name_are_one_note() -> None:
    notes = unchanged_notes(sizes("width", 30, "nothing tells whether it is {} now"))
    (note,) = notes
    assert (
        note
        == "not changed: width = 8 in 30 places, first layers.0.width (nothing tells whether it is 3 now)"
    )


def test_names_reasons_and_kinds_of_note_stay_apart() -> None:
    one, other = "nothing tells whether it is {} now", "shared with the original"
    kept = [UnchangedSize("layers.0.width", "a buffer", other, "not saved")]
    notes = unchanged_notes(
        [*sizes("width", 2, one), *sizes("depth", 2, one), *sizes("width", 2, other), *kept]
    )
    assert len(notes) == 4


def test_numbers_and_places_in_a_reason_make_no_other_note() -> None:
    whys = (
        "a.b and others of size 8 are 3, 4 now: save it",
        "c.0.d and others of size 8 are 5, ... now: save it",
    )
    notes = unchanged_notes([UnchangedSize("config.width", "8", why) for why in whys])
    assert len(notes) == 1


def test_a_note_shows_a_few_of_many_values_and_alone_is_told_in_full() -> None:
    many = [one for value in range(5) for one in sizes("width", 1, "why", str(value))]
    assert "width = 0, 1, 2, ... in 5 places" in unchanged_notes(many)[0]
    assert unchanged_notes(many[:1]) == ["not changed: layers.0.width = 0 (why)"]
