"""Cohorts of patients: readers, splits, and the procedural phantom that can stand in for them."""

from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.cohorts.load import LoadedCase, load_case
from FedSimCore.cohorts.readers import read_cohort
from FedSimCore.cohorts.table import read_table, write_cohort

__all__ = ["Case", "Cohort", "LoadedCase", "load_case", "read_cohort", "read_table", "write_cohort"]
