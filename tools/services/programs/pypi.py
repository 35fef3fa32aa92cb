"""Python programs, each in a virtual environment of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.services.failure import MissingError
from tools.services.paths import cache_folder, replaced
from tools.services.programs.command import complaint

if TYPE_CHECKING:
    from pathlib import Path

    from tools.services.programs.command import Run


@dataclass(frozen=True)
class PythonPackage:
    """The package of *lock* at exactly *version*, with all that *lock* names, checked by hash.

    What it runs is the environment's own Python, as `python`.
    """

    package: str
    version: str
    lock: Path

    @property
    def name(self) -> str:
        return f"{self.package}-{self.version}"

    @property
    def label(self) -> str:
        return f"{self.package} {self.version}, from PyPI"

    @property
    def processes(self) -> tuple[str, ...]:
        return ("python",)

    def programs(self) -> dict[str, Path | None]:
        python = cache_folder() / self.name / "bin" / "python"
        return {"python": python if python.exists() else None}  # a link, perhaps to what is gone

    def how(self) -> str:
        return "install python3-venv with pip, and make services fetches it from PyPI"

    def install(self, run: Run) -> None:
        """Make the environment. Raises MissingError where venv or pip fail."""
        log = cache_folder() / f"{self.name}.log"
        with replaced(cache_folder() / self.name) as folder:
            if run([sys.executable, "-m", "venv", str(folder)], log=log):
                raise MissingError(f"no environment can be made: {complaint(log)}", self.how())
            command = [str(folder / "bin" / "python"), "-m", "pip", "install"]
            command += ["--disable-pip-version-check", "--require-hashes", "-r", str(self.lock)]
            if run(command, log=log):
                raise MissingError(f"pip could not install it: {complaint(log)}", self.how())
