"""Pipelines that are solved, not descended: features made by hand, and learners of before 2012."""
