"""Numbers printed elsewhere. Where only moments are printed, tables are made that have these.

Barnard and Rubin (1999) print no example, only simulated coverage: what their abstract states of
the degrees of freedom is tested in test_rules.py.
"""

import numpy as np
import pytest
from scipy.optimize import brentq

from pyro_gnr import pool_scalar
from pyro_gnr.imputation.pooling.advice import suggest_m
from pyro_gnr.imputation.pooling.likelihood_ratio import d3
from pyro_gnr.imputation.pooling.wald import denominator_df


def tables_with(m, mean, within, between):
    """M estimates with this mean and variance, and M variances of this mean."""
    z = np.arange(m) - (m - 1) / 2
    z *= np.linspace(1, 2, m)  # in no way special
    z = (z - z.mean()) / z.std(ddof=1)
    u = np.linspace(0.9, 1.1, m)
    return mean + np.sqrt(between) * z, within * u / u.mean()


# m, dfcom, term, estimate, ubar, b, t, df, riv, lambda, fmi
MICE = [
    # van Buuren (2018), Flexible Imputation of Missing Data, 2nd edition: lm(bmi ~ age), nhanes.
    (10, 23, "(Intercept)", "30.50", "3.408", "1.454", "5.01", "12.4", "0.469", "0.319", "0.408"),
    (10, 23, "age", "-2.13", "0.906", "0.238", "1.17", "15.1", "0.289", "0.224", "0.310"),
]
# Printed by mice 3 for lm(Temp ~ Ozone + Solar.R + Wind), airquality, seed 245435 where m = 50.
AIRQUALITY = """
5 Ozone 0.16081480 4.935193e-04 0.0001610921 6.868298e-04 34.09063 0.3916979 0.2814533 0.3201987
5 Solar.R 0.01274085 4.324896e-05 0.0000122131 5.790469e-05 39.70957 0.3388688 0.2531008 0.2880765
5 Wind -0.33902052 3.904917e-02 0.0045108400 4.446218e-02 86.94099 0.1386203 0.1217441 0.1412737
5 const 72.55796363 6.595501e+00 0.5750036463 7.285505e+00 101.97555 0.1046174 0.0947092 0.1119569
50 Ozone 0.1636463 5.224431e-04 1.390522e-04 6.642763e-04 103.7690 0.2714807 0.2135154 0.2282479
50 Solar.R 0.0115144 4.461246e-05 7.239493e-06 5.199674e-05 119.1549 0.1655207 0.1420143 0.1560619
50 Wind -0.3357630 4.024084e-02 6.924729e-03 4.730407e-02 117.5870 0.1755237 0.1493153 0.1634244
50 const 72.6409950 6.805400e+00 1.082784e+00 7.909840e+00 119.6660 0.1622887 0.1396286 0.1536564
"""
# std.error, statistic and p.value of summary(pool(...)) of the same.
SUMMARY = {
    (5, "Ozone"): (0.026207437, 6.136228, 5.674375e-07),
    (5, "Solar.R"): (0.007609513, 1.674331, 1.019253e-01),
    (5, "Wind"): (0.210860560, -1.607795, 1.115059e-01),
    (5, "const"): (2.699167503, 26.881608, 4.373091e-48),
    (50, "Ozone"): (0.025773558, 6.349388, 5.800127e-09),
    (50, "Solar.R"): (0.007210876, 1.596810, 1.129568e-01),
    (50, "Wind"): (0.217494982, -1.543774, 1.253302e-01),
    (50, "const"): (2.812443743, 25.828426, 9.143086e-51),
}
for line in AIRQUALITY.strip().splitlines():
    m, *row = line.split()
    MICE.append((int(m), 148, *row))
NAMES = ("estimate", "ubar", "b", "t", "df", "riv", "lambda_", "fmi")


def half_digit(printed):
    """What the last printed digit leaves open, and the same of the moments that went in."""
    mantissa, _, exponent = printed.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - digits)


@pytest.mark.parametrize("row", MICE, ids=lambda row: f"{row[2]} m={row[0]} dfcom={row[1]}")
def test_columns_of_mice(row):
    m, dfcom, term, *printed = row
    mean, within, between = (float(x) for x in printed[:3])
    pooled = pool_scalar(*tables_with(m, mean, within, between), n=dfcom + 1, k=1)
    inputs = max(half_digit(x) / abs(float(x)) for x in printed[1:3])
    for name, text in zip(NAMES, printed, strict=True):
        # Relative errors of the printed moments are at most doubled by the formulas.
        allowed = half_digit(text) + 2 * inputs * abs(float(text))
        assert abs(getattr(pooled, name) - float(text)) <= allowed, name
    assert pooled.dfcom == dfcom
    if (m, term) in SUMMARY:
        error, statistic, p = SUMMARY[m, term]
        assert pooled.std_error == pytest.approx(error, rel=1e-6)
        assert pooled.estimate / pooled.std_error == pytest.approx(statistic, rel=1e-6)
        assert pooled.p_value == pytest.approx(p, rel=2e-5)


def test_amos():
    # IBM SPSS Amos 21 User's Guide, example 31, p. 472: m = 10, estimate 1.172.
    pooled = pool_scalar(*tables_with(10, 1.172, 0.0233, 0.0085))
    assert pooled.t == pytest.approx(0.0326, abs=0.51e-4)
    assert pooled.std_error == pytest.approx(0.1807, abs=1e-4)
    assert round(pooled.estimate / pooled.std_error, 2) == 6.49
    assert round(pooled.df) == 110  # 109 is printed, cut off: 109.8 here


def test_sas():
    # SAS/STAT 14.1, MIANALYZE, details: "with m = 5 and r = 10%, [the df are] 484".
    pooled = pool_scalar(*tables_with(5, 1.0, 1.2, 0.1))
    assert pooled.riv == pytest.approx(0.1)
    assert pooled.df == pytest.approx(484)


# mitml, vignette "Analysis" (2018): m = 20, df without and with 46 for complete data, RIV, FMI.
MITML = [
    ("(Intercept)", 1081.280, 36.965, 0.153, 0.134),
    ("SexGirl", 279399.841, 43.752, 0.008, 0.008),
    ("I.SES", 233.427, 27.781, 0.399, 0.291),
    ("G.SES", 1096.956, 37.022, 0.152, 0.133),
]


@pytest.mark.parametrize(("term", "df", "df_46", "riv", "fmi"), MITML)
def test_degrees_of_freedom_of_mitml(term, df, df_46, riv, fmi):
    def scalar(r, n=np.inf):
        return pool_scalar(*tables_with(20, 1.0, 1.0, r / 1.05), n=n, k=0)

    r = brentq(lambda r: scalar(r).df - df, riv - 0.00051, riv + 0.00051)  # RIV has 3 digits
    assert scalar(r).df == pytest.approx(df)
    assert scalar(r, 46).df == pytest.approx(df_46, abs=0.00051)
    assert round(scalar(r).fmi, 3) == fmi


def test_d1_and_d3_of_mitml():
    # The same vignette: two terms, D1 with F = 6.095 and RIV = 0.275, D3 with RIV = 0.328.
    for df2, riv in ((674.475, 0.275), (519.143, 0.328)):
        r = brentq(lambda r, df2=df2: denominator_df(2, 20, r) - df2, 0.1, 1.0)
        assert round(r, 3) == riv
    # And one term, "contextual effect": df2 = 616.380, RIV = 0.166.
    r = brentq(lambda r: denominator_df(1, 20, r) - 616.380, 0.1, 1.0)
    assert round(r, 3) == 0.166


def test_d3_of_mice():
    # mice's documentation of D3: m = 5, lm(bmi ~ age + hyp + chl) against lm(bmi ~ age + hyp).
    statistic, riv = 2.917381, 2.082143
    pooled = statistic * (1 + riv)
    own = pooled + riv * 4 / 6
    test = d3([own] * 5, [pooled] * 5, 1)
    assert (test.df1, test.statistic, test.riv) == (
        1,
        pytest.approx(statistic),
        pytest.approx(riv),
    )
    assert test.df2 == pytest.approx(8.764849, abs=1e-6)
    assert test.p_value == pytest.approx(0.122711, abs=1e-6)


def test_number_of_tables():
    # README of the R package howManyImputations (m = 5): 72 with cv 0.05 and 1767 with 0.01. The
    # fraction of missing information is not printed, but one must give both.
    fractions = np.linspace(0.2, 0.4, 4001)
    fits = [f for f in fractions if suggest_m(f, 5) == 72 and suggest_m(f, 5, cv=0.01) == 1767]
    assert 0 < len(fits) < 100
