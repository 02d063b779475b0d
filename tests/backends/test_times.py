from __future__ import annotations

from collections import Counter

from prunepass.backends._times import layer_times


def test_a_step_has_its_median_time_and_its_share_of_the_sum() -> None:
    inferences = [Counter({("a", "Conv"): each, ("b", "Add"): 20}) for each in (10, 60, 60)]
    assert [(time.name, time.microseconds, time.share) for time in layer_times(inferences)] == [
        ("a", 60, 0.75),
        ("b", 20, 0.25),
    ]


def test_a_step_that_an_inference_left_out_took_no_time_in_it() -> None:
    inferences = [Counter({("a", "Conv"): 9}), Counter({("b", "Add"): 1}), Counter({("b", "Add"): 1})]
    assert [(time.name, time.microseconds) for time in layer_times(inferences)] == [("a", 0), ("b", 1)]


def test_no_inferences_have_no_steps() -> None:
    assert layer_times([]) == ()
    assert layer_times([Counter({("a", "Conv"): 0})])[0].share == 0
