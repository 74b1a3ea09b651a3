"""What pandas reads back of a .dta file, and what Stata is told."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_series_equal

from pyro_gnr.imputation.exchange import export


def read(path):
    with pd.io.stata.StataReader(path) as reader:
        return reader.read(), reader.variable_labels(), reader.value_labels()


def test_round_trip(long, tmp_path):
    (path, do), renamed = export(long, tmp_path / "people.dta")
    found, labels, levels = read(path)
    assert renamed == {"n kids": "n_kids", "x.y": "x_y", "if": "v_if", "2nd": "v2nd",
                       "a" * 40: "a" * 29}  # fmt: skip
    assert found.columns[:2].tolist() == ["mi_m", "mi_id"]
    assert found["mi_m"].tolist() == long[".imp"].tolist()
    assert found["mi_id"].tolist() == long[".id"].tolist()
    for name in long.columns[2:]:
        new = renamed.get(name, name)
        assert labels[new] == name
        cells, expected = found[new], long[name]
        if name == "free":
            assert cells.tolist() == expected.fillna("").tolist()
            continue
        assert (cells.isna() == expected.isna()).all()
        seen = expected.notna()
        if name in ("grade", "site"):
            categories = expected.cat.categories.tolist()
            assert list(levels[new].items()) == list(enumerate(categories, start=1))
            expected = expected.astype(str)
        elif name in ("yes", "2nd"):
            expected = expected.astype(str)
        elif name == "date":
            expected = pd.to_datetime(expected)
        assert cells[seen].tolist() == expected[seen].tolist()
    assert found["single"].dtype == np.float32
    assert found["v_if"].dtype == np.int8


def test_do_file(long, tmp_path, filled):
    (_, do), _ = export(long, tmp_path / "people.dta")
    text = do.read_text(encoding="utf-8")
    assert do.name == "people_dta.do"
    assert 'use "people.dta", clear' in text
    assert '* n_kids: column "n kids"' in text
    command = text.split("\nmi import")[1].split("\ndrop")[0].replace(" ///\n   ", "")
    assert command.startswith(" flong, m(mi_m) id(mi_id) imputed(")
    names = command.split("imputed(")[1].rstrip(")").split()
    assert names == ["grade", "site", "text", "n_kids", "x_y", "single", "yes"]
    assert len(names) == len(filled)
    # `mi import flong` makes variables of these names and stops if they are there.
    assert not {"_mi_m", "_mi_id", "_mi_miss"} & set(pd.read_stata(tmp_path / "people.dta"))


def test_names_leave_room_for_the_prefixes_of_the_wide_style(tmp_path):
    long = pd.DataFrame({".imp": range(101), ".id": 1, "b" * 32: 1.0})
    _, renamed = export(long, tmp_path / "wide.dta")
    assert len("_100_" + renamed["b" * 32]) == 32


def test_nothing_imputed(tmp_path):
    long = pd.DataFrame({".imp": [0, 1], ".id": [1, 1], "a/*b": [1, 1], "mi_m": [5, 5]})
    (path, do), renamed = export(long, tmp_path / "a.dta")
    text = do.read_text()
    assert "imputed" not in text
    assert "/*" not in text.replace("/ *", "")
    assert renamed["mi_m"] == "mi_m_2"
    assert pd.read_stata(path)["mi_m_2"].tolist() == [5, 5]


@pytest.mark.parametrize(("n", "fits"), [(2045, True), (2046, False)])
def test_long_text(tmp_path, n, fits):
    long = pd.DataFrame({".imp": [0, 1], ".id": 1, "a": "x" * n})
    if not fits:
        with pytest.raises(ValueError, match="column 'a' has a text of 2046 bytes, Stata takes"):
            export(long, tmp_path / "a.dta")
        assert list(tmp_path.iterdir()) == []
        return
    export(long, tmp_path / "a.dta")
    assert_series_equal(pd.read_stata(tmp_path / "a.dta")["a"], long["a"])


@pytest.mark.parametrize("n", [99, 101, 300, 40_000])
def test_many_levels_with_holes(tmp_path, n):
    levels = pd.Categorical([f"{i:05d}" for i in range(n)] + [None])
    long = pd.DataFrame({".imp": np.repeat([0, 1], n + 1), ".id": [*range(n + 1)] * 2})
    long["a"] = pd.Categorical([*levels, *levels[:-1], levels[0]], categories=levels.categories)
    export(long, tmp_path / "a.dta")
    found = pd.read_stata(tmp_path / "a.dta")["a"]
    assert (
        found.astype(object).where(found.notna(), None).tolist()
        == long["a"].astype(object).where(long["a"].notna(), None).tolist()
    )


def test_complete_text_can_be_a_factor_and_names_of_rows_stay_text(tmp_path):
    people = pd.DataFrame({"gender": ["m", "f"] * 5, "town name": list("abcdefghij")})
    long = pd.concat([people.assign(**{".imp": i, ".id": range(10)}) for i in (0, 1)])
    (path, do), _ = export(long, tmp_path / "a.dta")
    found, _, levels = read(path)
    assert levels == {"gender": {1: "f", 2: "m"}}
    assert found["town_name"].tolist() == list("abcdefghij") * 2
    lines = do.read_text().splitlines()
    hint = "* town_name is text; for i.town_name_ say: encode town_name, gen(town_name_)"
    assert lines.index(hint) < lines.index("mi import flong, m(mi_m) id(mi_id)")
    assert [line for line in lines if "encode" in line] == [hint]


@pytest.mark.parametrize("ending", [".dta", ".sav"])
@pytest.mark.parametrize(
    "labels",
    [
        pd.date_range("2020-01-01", periods=2, tz="UTC"),
        pd.period_range("2020-01", periods=2, freq="M"),
        pd.to_timedelta([1, 2], unit="D"),
    ],
)
def test_row_labels_of_other_types_are_text(tmp_path, ending, labels):
    """They are the table's index, which is no column that one could convert."""
    pytest.importorskip("pyreadstat")
    long = pd.DataFrame({".imp": [0, 0, 1, 1], ".id": [*labels, *labels], "a": [1, None, 1, 2]})
    path, _ = export(long, tmp_path / f"a{ending}").files
    read = pd.read_stata(path)["mi_id"] if ending == ".dta" else pd.read_spss(path).iloc[:, 1]
    assert read.tolist() == 2 * labels.astype(str).tolist()
