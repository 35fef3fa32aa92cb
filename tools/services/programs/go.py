"""Programs built from a Go module at one exact version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.services.failure import MissingError
from tools.services.paths import cache_folder, replaced
from tools.services.programs.command import complaint
from tools.services.programs.compiler import find_compiler
from tools.services.programs.debian import on_path

if TYPE_CHECKING:
    from pathlib import Path

    from tools.services.programs.command import Run


@dataclass(frozen=True)
class GoModule:
    """A program built from the Go module *path* at exactly *version*."""

    program: str
    path: str
    version: str
    needs_go: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.program}-{self.version}"

    @property
    def label(self) -> str:
        return f"{self.program} {self.version}, built with Go"

    @property
    def processes(self) -> tuple[str, ...]:
        return (self.program,)

    def programs(self) -> dict[str, Path | None]:
        built = cache_folder() / self.name / self.program
        return {self.program: built if built.exists() else on_path(self.program)}

    def how(self) -> str:
        needed = ".".join(map(str, self.needs_go))
        return (
            f"install Go {needed} or newer, and make services builds it; "
            f"or put {self.program} on PATH"
        )

    def install(self, run: Run) -> None:
        """Build it. What was compiled before an interruption is in Go's own cache.

        Raises MissingError where Go is missing, too old, or can't build it.
        """
        asked = ["env", "GOVERSION"]
        go = find_compiler("go", asked, needed=self.needs_go, how=self.how())
        log = cache_folder() / f"{self.name}.log"
        with replaced(cache_folder() / self.name) as folder:
            command = [go, "install", f"{self.path}@{self.version}"]
            if run(command, env={"GOBIN": str(folder)}, log=log):
                raise MissingError(f"go could not build it: {complaint(log)}", self.how())
            [binary] = folder.iterdir()
            binary.rename(folder / self.program)
