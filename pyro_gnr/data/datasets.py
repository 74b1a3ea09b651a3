"""Tables that come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files

import pandas as pd

from pyro_gnr.data.files import read_table

__all__ = ["load_nhanes"]

_NOMINAL = ("gender", "race", "marital")
_ORDERED = {
    "education": [
        "Less than 9th grade",
        "9-11th grade",
        "High school or GED",
        "Some college",
        "College graduate",
    ],
    "general_health": ["Poor", "Fair", "Good", "Very good", "Excellent"],
}


def load_nhanes() -> pd.DataFrame:
    """Load 1,500 adults of the health survey NHANES 2017-2018, with the holes they left.

    Source: National Health and Nutrition Examination Survey, cycle 2017-2018, Centers for
    Disease Control and Prevention / National Center for Health Statistics (public domain): a
    random sample of the examined persons of 20 years and over. Survey weights are not included,
    so the table describes these persons and not the population.

    The empty cells are genuine. 14 % did not tell their household income (given here as the
    mid-point of the class they named, in US dollars a year; the top class is 100,000), 7 % have
    no answer about their health, and 5 to 7 % no blood values (``hdl`` and ``total_cholesterol``
    in mg/dL, ``hba1c`` in %, ``blood_lead`` in ug/dL) or blood pressure (``systolic``, the second
    reading, in mmHg). ``bmi`` is in kg/m2, ``age`` in years (80 means 80 or more).

    Returns:
        1,500 rows and 15 columns: nullable integers, floats and booleans, unordered categories
        (``gender``, ``race``, ``marital``) and ordered ones (``education``,
        ``general_health``), in which the declared order is from low to high.

    Example:
        >>> from pyro_gnr.data.datasets import load_nhanes
        >>> nhanes = load_nhanes()
        >>> nhanes.shape
        (1500, 15)
        >>> int(nhanes["household_income"].isna().sum())
        212
        >>> list(nhanes["general_health"].cat.categories)
        ['Poor', 'Fair', 'Good', 'Very good', 'Excellent']
    """
    with as_file(files("pyro_gnr.data").joinpath("nhanes_demo.csv")) as path:
        frame = read_table(path)
    kinds = {name: pd.CategoricalDtype() for name in _NOMINAL}
    kinds |= {name: pd.CategoricalDtype(levels, ordered=True) for name, levels in _ORDERED.items()}
    return frame.astype(kinds)
