"""The files of versions as MLflow's artifacts: listed, and downloaded verified."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from holdfast.integrations.mlflow.registry_connection import connection_to

if TYPE_CHECKING:
    from holdfast.models import ModelRegistry


def files_uri(data: Path | None, name: str, number: int) -> str:
    """Return the address of a version's files, as MLflow is told it: `holdfast:/vehicles/3`."""
    query = "" if data is None else f"?{urlencode({'data': str(data)})}"
    return f"holdfast:/{quote(name)}/{number}{query}"


class VersionFiles(ArtifactRepository):
    """The files below `holdfast:/<model>/<number>`; the query's `data` is the data folder.

    They are read alone: a version never changes.
    """

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        parts = urlsplit(artifact_uri)
        data = parse_qs(parts.query).get("data")
        self._root = unquote(parts.path).strip("/")
        self._connection = connection_to(Path(data[0]) if data else None)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return files and folders right below *path*; none for a file.

        Raises MlflowException for a version that is not there.
        """
        reference, inner = self._place(path or "")
        below = f"{inner}/" if inner else ""
        given = f"{path.strip('/')}/" if path and path.strip("/") else ""

        async def work(registry: ModelRegistry) -> list[FileInfo]:
            found: dict[str, FileInfo] = {}
            for file in await registry.files(await registry.resolve(reference)):
                if file.path.startswith(below):
                    name, slash, _ = file.path.removeprefix(below).partition("/")
                    size = None if slash else file.size
                    found[name] = FileInfo(f"{given}{name}", bool(slash), size)
            return list(found.values())

        return self._connection.call(work)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        """Put one verified file at *local_path*."""
        reference, inner = self._place(remote_file_path)

        async def work(registry: ModelRegistry) -> Path:
            return await registry.local_file(await registry.resolve(reference), inner)

        shutil.copyfile(self._connection.call(work), local_path)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> NoReturn:
        """Refuse: the files of a version never change."""
        raise _unchanging()

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> NoReturn:
        """Refuse: the files of a version never change."""
        raise _unchanging()

    def _place(self, path: str) -> tuple[str, str]:
        """Return the version that *path* is in, and where in it."""
        parts = [each for each in f"{self._root}/{path}".split("/") if each not in {"", "."}]
        if len(parts) < 2:
            raise MlflowException.invalid_parameter_value(
                f"{self.artifact_uri!r}: expected holdfast:/<model>/<number>"
            )
        return f"{parts[0]}:{parts[1]}", "/".join(parts[2:])


def _unchanging() -> MlflowException:
    return MlflowException.invalid_parameter_value(
        "the files of a version never change; register a new one with mlflow.register_model"
    )
