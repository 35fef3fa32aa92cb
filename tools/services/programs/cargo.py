"""Programs built from a Rust crate at one exact version."""

from __future__ import annotations

import shutil
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

# Optimising across crates doubles the time of a build for a program that waits for its caller.
PROFILE = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}


@dataclass(frozen=True)
class Crate:
    """A program built from the crate *package* at exactly *version*, with no more than *features*.

    The crates it stands on are those that its own lock file names.
    """

    program: str
    package: str
    version: str
    features: tuple[str, ...]
    needs_rust: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.program}-{self.version}"

    @property
    def label(self) -> str:
        return f"{self.package} {self.version}, built with cargo"

    @property
    def processes(self) -> tuple[str, ...]:
        return (self.program,)

    def programs(self) -> dict[str, Path | None]:
        built = cache_folder() / self.name / "bin" / self.program
        return {self.program: built if built.exists() else on_path(self.program)}

    def how(self) -> str:
        needed = ".".join(map(str, self.needs_rust))
        return (
            f"install Rust {needed} or newer with cargo, and make services builds it; "
            f"or put {self.program} on PATH"
        )

    def install(self, run: Run) -> None:
        """Build it. An interrupted build goes on from the crates that were compiled.

        Raises MissingError where cargo or a C compiler is missing, or can't build it.
        """
        asked = ["--version"]
        cargo = find_compiler("cargo", asked, needed=self.needs_rust, how=self.how())
        if shutil.which("cc") is None:
            raise MissingError("not installed, and there is no C compiler", "install gcc")
        log = cache_folder() / f"{self.name}.log"
        target = cache_folder() / f"{self.name}.target"
        with replaced(cache_folder() / self.name) as folder:
            command = [cargo, "install", self.package, "--version", self.version]
            command += ["--locked", "--no-track", "--root", str(folder)]
            command += ["--no-default-features", "--features", ",".join(self.features)]
            if run(command, env={"CARGO_TARGET_DIR": str(target), **PROFILE}, log=log):
                raise MissingError(f"cargo could not build it: {complaint(log)}", self.how())
        shutil.rmtree(target)
