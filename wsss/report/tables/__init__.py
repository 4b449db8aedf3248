"""A study's scores beside the published ones, as Markdown, HTML and tab-separated values."""

from wsss.report.tables.output import write_tables
from wsss.report.tables.results import scored_results

__all__ = ["scored_results", "write_tables"]
