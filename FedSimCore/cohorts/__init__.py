"""Cohorts of patients: readers, splits, and the procedural phantom that can stand in for them."""

from FedSimCore.cohorts.case import Case, Cohort
from FedSimCore.cohorts.table import read_table, write_cohort

__all__ = ["Case", "Cohort", "read_table", "write_cohort"]
