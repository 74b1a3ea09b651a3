"""The page that says how to add a part does what it says."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the page's code leaves behind, run from top to bottom in an empty directory."""
    names = {"__name__": "page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        for block in BLOCKS:
            exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_parts_are_short():
    parts = [block[block.index("class ") :] for block in BLOCKS if "class " in block]
    assert len(parts) == 2
    assert all(len(part.strip().splitlines()) <= 20 for part in parts)


def test_the_imputer_uses_them(page):
    model = page["imputer"]._fitted.model
    assert type(model.m_given_ux) is page["DrivenBy"]
    assert page["Laplace"] in {type(part) for part in model.x_given_u.parts()}
    assert model.m_given_ux.slope.abs().max() > 0  # it was trained


def test_a_column_that_is_not_there(page):
    imputer = page["GNRImputer"](mechanism=page["DrivenBy"](column="zz"), verbose=False)
    with pytest.raises(ValueError, match=r"got column='zz', expected one of \['age', 'household_"):
        imputer.fit(page["table"])


def test_a_class_without_its_column(page):
    imputer = page["GNRImputer"](mechanism=page["DrivenBy"], verbose=False)
    with pytest.raises(
        TypeError, match=r"got mechanism DrivenBy, .* Pass an instance, DrivenBy\("
    ):
        imputer.fit(page["table"])


def test_tables_are_complete_and_the_model_comes_back(page):
    imputation, table = page["imputation"], page["table"]
    assert all(completed.notna().all().all() for completed in imputation)
    again = page["again"].set_params(verbose=False).impute(table, m=5)[0]
    np.testing.assert_array_equal(again, imputation[0])
