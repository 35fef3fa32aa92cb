"""The web console: pages for people over one platform, in any application of FastAPI."""

from holdfast.console.console_application import add_console
from holdfast.console.console_options import ConsoleOptions

__all__ = ["ConsoleOptions", "add_console"]
