"""The report to browse: one page with all figures, and all images in the stages of the road."""

from wsss.report.browser.page import PAGE, write_report

