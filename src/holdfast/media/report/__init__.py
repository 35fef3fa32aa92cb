"""The report: one HTML file about a video, which needs nothing but a browser."""

from holdfast.media.report.contents import Report, ReportOptions
from holdfast.media.report.render import write_report

__all__ = ["Report", "ReportOptions", "write_report"]
