"""The lines of R beside a .csv or .parquet file. R itself is not run here."""

import json
import re

import pandas as pd

from pyro_gnr.data import Column, Kind
from pyro_gnr.data.files import read_table
from pyro_gnr.imputation.exchange import export, long_table, row_ids


def test_parquet_needs_three_lines_and_one_for_each_text_with_levels(long, tmp_path):
    (path, script), renamed = export(long, tmp_path / "people.parquet")
    assert script.read_text().splitlines()[1:] == [
        "library(mice)",
        'long <- as.data.frame(arrow::read_parquet("people.parquet"))',
        'long[["text"]] <- factor(long[["text"]], levels = c("007", "a", "b", "c d"))',
        "imp <- as.mids(long)",
    ]
    assert renamed == {}
    pd.testing.assert_frame_equal(read_table(path), long, check_dtype=False)
    assert read_table(path)["grade"].dtype == long["grade"].dtype


def test_csv_gets_its_factors_back(long, tmp_path):
    (path, script), _ = export(long, tmp_path / "people.csv")
    lines = script.read_text(encoding="utf-8").splitlines()
    assert (lines[1], lines[-1]) == ("library(mice)", "imp <- as.mids(long)")
    assert lines[2].startswith('long <- read.csv("people.csv", check.names = FALSE, na.strings')
    texts = re.findall(r'("[^"]*") = "character"', lines[2])
    assert list(map(json.loads, texts)) == [".id", "grade", "site", "text", "free"]
    rest = lines[3:-1]
    assert (
        'long[["grade"]] <- factor(long[["grade"]], levels = c("low", "mid", "high", "never"), '
        "ordered = TRUE)" in rest
    )
    assert 'long[["site"]] <- factor(long[["site"]], levels = c("Zürich", "Bern", "東京"))' in rest
    assert 'long[["day"]] <- as.POSIXct(long[["day"]], tz = "UTC")' in rest
    assert 'long[["date"]] <- as.Date(long[["date"]])' in rest
    assert 'long[["yes"]] <- as.logical(long[["yes"]])' in rest
    assert len(rest) == 8
    again = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert again["grade"].tolist() == long["grade"].astype(object).fillna("").tolist()


def test_both_formats_make_the_same_factors_of_text(long, tmp_path):
    known = [Column("text", Kind.ORDINAL, "string", levels=("b", "a", "c d", "007"))]
    factors = []
    for ending in ("csv", "parquet"):
        (_, script), _ = export(long, tmp_path / f"a.{ending}", columns=known)
        lines = script.read_text(encoding="utf-8").splitlines()
        factors.append([line for line in lines if line.startswith('long[["text"]]')])
    wanted = 'factor(long[["text"]], levels = c("b", "a", "c d", "007"), ordered = TRUE)'
    assert factors == [[f'long[["text"]] <- {wanted}']] * 2


def test_what_mice_would_take_for_variables_is_left_out(original, completed, tmp_path):
    texts = {".interval.x.y": original["free"].to_numpy()}
    long = long_table(original, completed, row_ids(original.index), texts=texts, members=[0, 1])
    for ending in ("csv", "parquet"):
        (_, script), _ = export(long, tmp_path / f"a.{ending}")
        lines = script.read_text(encoding="utf-8").splitlines()
        assert lines[-2] == 'long <- long[setdiff(names(long), c(".member", ".interval.x.y"))]', (
            ending
        )


def test_odd_names_are_quoted(tmp_path):
    name = 'quo"te\\n\n'
    long = pd.DataFrame({".imp": [0, 1], ".id": 1, name: pd.Categorical(["é", "é"])})
    (_, script), _ = export(long, tmp_path / "a.csv")
    assert r'long[["quo\"te\\n\n"]] <- factor(' in script.read_text(encoding="utf-8")


def test_codes_of_levels_become_factors_and_codes_of_two_stay_numbers(tmp_path):
    table = pd.DataFrame({"ward": [1, 2, None], "stage": [2.5, None, 1.0], "ill": [0, 1, None]})
    done = [table.fillna({"ward": w, "stage": 1.0, "ill": 0}) for w in (1, 2)]
    long = long_table(table, done, row_ids(table.index))
    columns = [
        Column("ward", Kind.CATEGORICAL, "float", levels=(1.0, 2.0)),
        Column("stage", Kind.ORDINAL, "float", levels=(1.0, 2.5)),
        Column("ill", Kind.BINARY, "float", levels=(0.0, 1.0)),
    ]
    for name in ("a.csv", "a.parquet"):
        (_, script), _ = export(long, tmp_path / name, columns=columns)
        factors = [line for line in script.read_text().splitlines() if "factor(" in line]
        assert factors == [
            'long[["ward"]] <- factor(long[["ward"]], levels = c(1, 2))',
            'long[["stage"]] <- factor(long[["stage"]], levels = c(1, 2.5), ordered = TRUE)',
        ]


def test_categories_of_numbers_become_factors_from_both_formats(tmp_path):
    table = pd.DataFrame(
        {
            "ward": pd.Categorical([100000, 7, None]),
            "stage": pd.Categorical([1, 3, None], [1, 2, 3], ordered=True),
            "dose": pd.Categorical([2.0, 0.5, None], [2.0, 0.5]),
            "ill": pd.Categorical([True, False, None]),
            "yes": pd.array([True, False, True], dtype="boolean"),
        }
    )
    done = [table.fillna({"ward": 7, "stage": 3, "dose": 0.5, "ill": i}) for i in (True, False)]
    long = long_table(table, done, row_ids(table.index))
    levels = {
        "a.csv": ('"7", "100000"', '"1", "2", "3"', '"2.0", "0.5"', '"False", "True"'),
        "a.parquet": ('"7", "100000"', '"1", "2", "3"', "2.0, 0.5", "FALSE, TRUE"),
    }
    for name, wanted in levels.items():
        (_, script), _ = export(long, tmp_path / name)
        factors = [line for line in script.read_text().splitlines() if "factor(" in line]
        assert factors == [
            f'long[["{column}"]] <- factor(long[["{column}"]], levels = c({text}){order})'
            for column, text, order in zip(
                ["ward", "stage", "dose", "ill"],
                wanted,
                ["", ", ordered = TRUE", "", ""],
                strict=True,
            )
        ]
