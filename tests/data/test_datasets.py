from __future__ import annotations

import pandas as pd

from pyro_gnr.data import Kind, Schema
from pyro_gnr.data.datasets import load_nhanes

HOLES = {
    "education": 6,
    "marital": 1,
    "household_income": 212,
    "insured": 4,
    "general_health": 109,
    "bmi": 26,
    "systolic": 93,
    "hdl": 98,
    "total_cholesterol": 98,
    "hba1c": 74,
    "blood_lead": 73,
}


def test_the_holes_are_where_the_survey_left_them():
    holes = load_nhanes().isna().sum()
    assert holes[holes > 0].to_dict() == HOLES


def test_dtypes_can_hold_the_holes():
    nhanes = load_nhanes()
    assert nhanes["household_income"].dtype == "Int64"
    assert nhanes["insured"].dtype == "boolean"
    assert nhanes["blood_lead"].dtype == "Float64"
    assert not nhanes["race"].cat.ordered
    assert nhanes["education"].cat.ordered
    assert nhanes["education"].max() == "College graduate"


def test_every_label_is_a_declared_level():
    # astype(CategoricalDtype) would turn a label it does not know into a hole.
    nhanes = load_nhanes()
    assert nhanes["education"].isna().sum() == HOLES["education"]
    assert set(nhanes["general_health"].cat.categories) == set(nhanes["general_health"].dropna())


def test_each_call_gives_a_table_of_its_own():
    first = load_nhanes()
    first.loc[:, "age"] = 0
    assert load_nhanes()["age"].min() == 20


def test_the_schema_takes_it_as_it_is():
    kinds = {column.name: column.kind for column in Schema.learn(load_nhanes()).columns}
    assert kinds["household_income"] is Kind.CONTINUOUS
    assert kinds["insured"] is Kind.BINARY
    assert kinds["race"] is Kind.CATEGORICAL
    assert Kind.IGNORE not in kinds.values()


def test_ages_and_blood_values_are_in_the_documented_units():
    nhanes = load_nhanes()
    assert nhanes["age"].between(20, 80).all()
    assert nhanes["hba1c"].dropna().between(3, 20).all()
    assert isinstance(nhanes.index, pd.RangeIndex)
