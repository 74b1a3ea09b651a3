"""Make the NHANES extract that ships inside the package (``pyro_gnr/data/nhanes_demo.csv``).

Run once by a developer, from the repository root, with the folder of source tables named by the
environment variable ``PYRO_GNR_DATA``::

    PYRO_GNR_DATA=<folder> python benchmarks/make_nhanes_demo.py

The source is the NHANES 2017-2018 cycle (CDC/NCHS, public domain), adults of 20 and over, as
``nhanes_2017.csv`` with its ``codebook.json``. The extract keeps 15 columns of a random sample of
1,500 persons, replaces codes by readable labels, and leaves every empty cell empty.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd

ROWS = 1500
SEED = 2017
TARGET = Path(__file__).resolve().parents[1] / "pyro_gnr" / "data" / "nhanes_demo.csv"

# Source column -> name in the extract, in the extract's order.
COLUMNS = {
    "gender": "gender",
    "age": "age",
    "race": "race",
    "education": "education",
    "marital": "marital",
    "household_income": "household_income",
    "insured": "insured",
    "general_health": "general_health",
    "smoked_100": "ever_smoked",
    "bmi": "bmi",
    "systolic_2": "systolic",
    "hdl": "hdl",
    "total_cholesterol": "total_cholesterol",
    "hba1c": "hba1c",
    "blood_lead": "blood_lead",
}
BOOLEANS = ("insured", "smoked_100")
LABELLED = ("gender", "race", "education", "marital", "general_health")
# The codebook's labels, shortened where they are long and mended where they were cut off.
SHORTER = {
    "Other Race - Including Multi-Racial": "Other or multiracial",
    "9-11th grade (Includes 12th grade with no diploma)": "9-11th grade",
    "High school graduate/GED or equivalent": "High school or GED",
    "Some college or AA degree": "Some college",
    "College graduate or above": "College graduate",
    "Poor?": "Poor",
    "Fair or": "Fair",
}


def main() -> None:
    """Write the extract."""
    folder = Path(os.environ["PYRO_GNR_DATA"])
    codebook = json.loads((folder / "codebook.json").read_text(encoding="utf-8"))["nhanes_2017"]
    source = pd.read_csv(folder / "nhanes_2017.csv", dtype_backend="numpy_nullable")
    sample = source.sample(ROWS, random_state=SEED).sort_index()[list(COLUMNS)]
    for column in LABELLED:
        labels = {int(k): SHORTER.get(v, v) for k, v in codebook[column].items()}
        sample[column] = sample[column].map(labels, na_action="ignore")
    for column in BOOLEANS:
        sample[column] = sample[column].astype("boolean")
    sample.rename(columns=COLUMNS).to_csv(TARGET, index=False, lineterminator="\n")
    print(f"{TARGET.name}: {len(sample)} rows, {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
