"""The report to browse: a page with all figures of a study, and all its images in the stages of the road."""

from wsss.report.browser.page import PAGE, THUMBNAILS, write_report
from wsss.report.browser.pair import write_pair

__all__ = ["PAGE", "THUMBNAILS", "write_pair", "write_report"]
