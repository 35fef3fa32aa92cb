"""The detector that is a registered model: resolved, downloaded and noted again for each job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.media.vision.onnx_detector import OnnxDetector

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.media.vision.onnx_detector import OnnxOptions
    from holdfast.models import ModelRegistry


@dataclass(frozen=True, slots=True)
class RegisteredDetector:
    """The version that *reference*, as `vehicles@prod`, means when a job begins.

    A promotion counts from the next job on, with no worker started again.
    """

    registry: ModelRegistry
    reference: str
    options: OnnxOptions | None = None

    async def load(self, job_id: UUID) -> OnnxDetector:
        """Return the detector for the job, its file verified on this machine.

        The version can't be deleted while the job lives, and is named in all results. Raises
        NotFoundError while nothing is under the reference, InvalidValueError for a version
        without exactly one ONNX file, and what a download raises.
        """
        version = await self.registry.resolve(self.reference)
        await self.registry.use(version, job_id)
        label = await self.registry.label(version)
        files = await self.registry.files(version)
        networks = [file.path for file in files if file.path.endswith(".onnx")]
        if len(networks) != 1:
            raise InvalidValueError(
                "ModelVersion",
                "files",
                f"{label} has {len(networks)} files named .onnx; a detector has one",
            )
        path = await self.registry.local_file(version, networks[0])
        facts = {"model": label, "model_digest": f"sha256:{version.digest}"}
        return OnnxDetector(str(path), self.options, facts=facts)
