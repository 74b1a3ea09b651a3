"""What pyreadstat reads back of a .sav file, and what SPSS is told."""

import sys

import pandas as pd
import pytest

from pyro_gnr.imputation.exchange import export

pyreadstat = pytest.importorskip("pyreadstat")


def test_round_trip(long, tmp_path):
    (path, _), renamed = export(long, tmp_path / "people.sav")
    found, meta = pyreadstat.read_sav(str(path))
    assert renamed == {"n kids": "n_kids", "2nd": "v2nd"}
    assert found.columns[:2].tolist() == ["Imputation_", "mi_id"]
    assert found["Imputation_"].tolist() == long[".imp"].tolist()
    assert found["mi_id"].tolist() == long[".id"].tolist()
    for name in long.columns[2:]:
        new = renamed.get(name, name)
        assert meta.column_names_to_labels[new] == name
        cells, expected = found[new], long[name]
        if name == "free":
            assert cells.fillna("").tolist() == expected.fillna("").tolist()
            continue
        assert (cells.isna() == expected.isna()).all()
        seen = expected.notna()
        if name in ("grade", "site", "text", "yes", "2nd"):
            cells = cells.map(meta.variable_value_labels[new])
            expected = expected.astype(str)
        elif name == "day":
            expected = expected.dt.date
        assert cells[seen].tolist() == expected[seen].tolist()


def test_labels_and_measures(long, tmp_path):
    export(long, tmp_path / "people.sav")
    _, meta = pyreadstat.read_sav(str(tmp_path / "people.sav"))
    labels = meta.variable_value_labels
    assert labels["Imputation_"] == {0: "Original data", 1: "1", 2: "2"}
    assert labels["grade"] == {1: "low", 2: "mid", 3: "high", 4: "never"}
    assert labels["site"] == {1: "Zürich", 2: "Bern", 3: "東京"}
    measure = meta.variable_measure
    assert {n for n, m in measure.items() if m == "ordinal"} == {"grade"}
    assert {n for n, m in measure.items() if m == "nominal"} == {
        "Imputation_", "mi_id", "site", "text", "yes", "free", "v2nd"
    }  # fmt: skip
    assert "unknown" not in measure.values()
    formats = meta.original_variable_types
    assert (formats["day"], formats["time"], formats["n_kids"]) == (
        "DATE11",
        "DATETIME20",
        "F12.0",
    )


def test_syntax(long, tmp_path):
    shuffled = long.sample(frac=1, random_state=0).sort_values(".id")
    (path, syntax), _ = export(shuffled, tmp_path / "people.sav")
    lines = syntax.read_text(encoding="utf-8").splitlines()
    assert syntax.name == "people_sav.sps"
    assert lines[-3:] == [
        'GET FILE="people.sav".',
        "SORT CASES BY Imputation_.",
        "SPLIT FILE LAYERED BY Imputation_.",
    ]
    assert '* n_kids: column "n kids".' in lines
    assert all(line.endswith(".") for line in lines)
    assert pyreadstat.read_sav(str(path))[0]["Imputation_"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("x" * 32_768, "column 'a' has a text of 32768 bytes, SPSS takes 32767"),
        (pd.Categorical(["ü" * 61] * 2), "column 'a' has a level of 122 bytes, SPSS takes 120"),
    ],
)
def test_too_long(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        export(pd.DataFrame({".imp": [0, 1], ".id": 1, "a": cells}), tmp_path / "a.sav")
    assert list(tmp_path.iterdir()) == []


def test_without_pyreadstat_the_error_says_what_to_install(long, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(ImportError, match=r"pip install pyro-gnr\[exchange\]"):
        export(long, tmp_path / "a.sav")
    assert list(tmp_path.iterdir()) == []
    export(long, tmp_path / "a.dta")


def test_dates_before_and_columns_of_nothing(tmp_path):
    long = pd.DataFrame({".imp": [0, 1], ".id": 1, "a": [None, None], "t": pd.NaT})
    long["d"] = pd.to_datetime([None, "1066-10-14"]).astype("datetime64[s]")
    export(long, tmp_path / "a.sav")
    found, _ = pyreadstat.read_sav(str(tmp_path / "a.sav"))
    assert found[["a", "t"]].isna().all(axis=None)
    assert str(found["d"][1]) == "1066-10-14"
