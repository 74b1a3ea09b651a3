"""The tipping point that is found is the one that can be computed by hand."""

import json

import numpy as np
import pytest

from pyro_gnr import Delta


def mean(table):
    """A mean whose variance does not depend on delta."""
    return {"mean": [table["age"].mean()]}["mean"], [[0.5]]


def mean_log_odds(table):
    return [table["smoker"].eq("yes").mean()], [[0.001]]


def test_search_equals_the_analytic_point(imputation, X):
    pooled = imputation.pool(mean)
    lower, upper = pooled.conf_int().iloc[0]
    rate = X["age"].isna().mean()
    found = imputation.tipping_point(mean, "age", value=lower - 1.3)
    assert found.below == pytest.approx(-1.3 / rate, abs=1e-6)
    assert found.above is None
    assert "lies above" in found.conclusion
    found = imputation.tipping_point(mean, "age", value=upper + 0.7, level=0.95)
    assert found.above == pytest.approx(0.7 / rate, abs=1e-6)
    assert found.below is None
    middle = imputation.tipping_point(mean, "age", value=(lower + upper) / 2)
    assert middle.above == pytest.approx((upper - lower) / 2 / rate, abs=1e-6)
    assert middle.below == pytest.approx(-middle.above, abs=1e-6)
    assert "holds" in middle.conclusion


def test_multiples_of_a_departure(imputation, X):
    lower = imputation.pool(mean).conf_int()["lower"].item()
    one = imputation.tipping_point(mean, Delta("age", 2.0), value=lower - 1.0, within=(-9, 0))
    other = imputation.tipping_point(mean, "age", value=lower - 1.0, within=(-18, 0))
    assert 2 * one.below == pytest.approx(other.below, abs=1e-6)
    assert one.above is None
    # In a subgroup it takes more.
    some = imputation.tipping_point(
        mean, Delta("age", where="group == 'a'"), value=lower - 0.5, within=(-60, 0)
    )
    rate = (X["age"].isna() & (X["group"] == "a")).mean()
    assert some.below == pytest.approx(-0.5 / rate, abs=1e-6)


def test_a_conclusion_of_ones_own(imputation, X):
    estimate = imputation.pool(mean)["estimate"].item()
    rate = X["age"].isna().mean()

    def mean_is_below(pooled):
        return pooled["estimate"].item() < estimate + 0.9

    found = imputation.tipping_point(mean, "age", conclusion=mean_is_below)
    assert found.above == pytest.approx(0.9 / rate, abs=1e-4)
    assert found.below is None
    assert "mean_is_below is True as the model says" in str(found)


def test_levels_tip_in_log_odds(imputation):
    estimate = imputation.pool(mean_log_odds)["estimate"].item()

    def most_smoke(pooled):
        return pooled["estimate"].item() > estimate - 0.08

    found = imputation.tipping_point(mean_log_odds, "smoker", conclusion=most_smoke)
    assert found.unit == "log-odds"
    assert found.spread is None
    assert -3 < found.below < 0
    # It holds on the near side of the point and not on the far one.
    near, far = (
        imputation.adjusted(Delta("smoker", found.below + step)).pool(mean_log_odds)
        for step in (1e-3, -1e-3)
    )
    assert most_smoke(near)
    assert not most_smoke(far)


def test_nothing_found_is_said(imputation):
    found = imputation.tipping_point(mean, "age", value=-1000.0)
    assert (found.below, found.above) == (None, None)
    assert "does not change at 12 deltas either way" in str(found)
    column = imputation.table.schema.modelled[0]
    np.testing.assert_allclose(found.within, (-3 * column.scale, 3 * column.scale))


def test_it_prints_as_a_sentence_with_its_caution(imputation):
    lower = imputation.pool(mean).conf_int()["lower"].item()
    text = str(imputation.tipping_point(mean, "age", value=lower - 1.0))
    assert "it changes at -" in text
    assert "observed sd" in text
    assert "no data can say" in text


def test_bad_arguments(imputation):
    with pytest.raises(ValueError, match="expected two finite numbers"):
        imputation.tipping_point(mean, "age", within=(1.0, 2.0))
    with pytest.raises(TypeError, match=r"got within=\('a', 2.0\), expected two finite numbers"):
        imputation.tipping_point(mean, "age", within=("a", 2.0))
    with pytest.raises(ValueError, match=r"got term=None, expected one of \['Intercept', 'score'"):
        imputation.tipping_point("age ~ score", "age")
    with pytest.raises(ValueError, match="expected a modelled one"):
        imputation.tipping_point(mean, "agee")


def test_it_is_told_in_numbers_and_carries_its_ledger(imputation):
    lower = imputation.pool(mean).conf_int()["lower"].item()
    delta = Delta("age", 2.0, where="group == 'a'")
    found = imputation.tipping_point(mean, delta, value=lower - 0.5, within=(-60, 0))
    told = json.loads(json.dumps(found.to_dict()))
    assert (told["below"], told["above"], told["searched"]) == (found.below, None, [-60, 0])
    assert (told["by"], told["where"], told["rows"]) == (2.0, "group == 'a'", 45)
    assert told["conclusion"] == found.conclusion
    assert found.ledger().checks == found.at_zero.ledger().checks
    assert "Departure: 'age' + 2 where group == 'a' (45 rows) times -60 to 0, searched" in str(
        found.ledger()
    )


def test_what_is_printed_is_the_departure_whatever_was_multiplied(imputation):
    """The search goes over multiples of `by`: the answer is by times as far, and says of whom."""
    lower = imputation.pool(mean).conf_int()["lower"].item()
    plain = imputation.tipping_point(mean, "age", value=lower - 0.5)
    fourfold = imputation.tipping_point(mean, Delta("age", -4.0), value=lower - 0.5)
    assert fourfold.above == pytest.approx(-plain.below / 4)
    said = str(plain)[str(plain).index("changes at") :]
    assert f"changes at {plain.below:+.4g} ({plain.below / plain.spread:+.2f} observed sd)" in said
    assert said in str(fourfold)
    np.testing.assert_allclose(np.multiply(4, fourfold.within), plain.within)

    some = imputation.tipping_point(
        mean, Delta("age", 2.0, where="group == 'a'"), value=lower - 0.5
    )
    assert "of the missing cells of 'age' where group == 'a' (45 rows), in" in str(some)


def test_numbers_by_table_are_multiplied(imputation):
    lower = imputation.pool(mean).conf_int()["lower"].item()
    by_table = Delta("age", np.linspace(1.0, 2.0, imputation.m))
    found = imputation.tipping_point(mean, by_table, value=lower - 0.5)
    assert f"{found.below:+.4g} times the numbers by table (delta of" in str(found)


def test_a_departure_of_nothing_is_refused(imputation):
    with pytest.raises(ValueError, match=r"got by=0.0 for column 'age', which no factor moves"):
        imputation.tipping_point(mean, Delta("age", 0.0))


@pytest.mark.parametrize("given", ["yes", 0.2, None])
def test_a_conclusion_is_true_or_false(imputation, given):
    with pytest.raises(TypeError, match="expected True or False"):
        imputation.tipping_point(mean, "age", conclusion=lambda pooled: given)


def test_the_range_is_printed_from_low_to_high(imputation):
    found = imputation.tipping_point(mean, Delta("age", -2.0), value=-1e6, within=(0.0, 3.0))
    assert "at 12 deltas either way, to -6 and 0 (delta" in str(found)
