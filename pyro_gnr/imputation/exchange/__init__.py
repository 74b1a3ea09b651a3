"""Imputations for other programs: R's mice, Stata, SPSS; and long tables read again."""

from pyro_gnr.imputation.exchange.exporting import Exported, export
from pyro_gnr.imputation.exchange.long import long_table, row_ids
from pyro_gnr.imputation.exchange.reading import LongTables, read_long

__all__ = ["Exported", "LongTables", "export", "long_table", "read_long", "row_ids"]
