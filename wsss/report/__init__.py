"""Figures, tables and pages for people, drawn from results."""
