"""Cohorts of patients: readers, splits, and the procedural phantom that can stand in for them."""
