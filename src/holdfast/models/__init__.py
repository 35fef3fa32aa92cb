"""Models: registered with their files, found by metrics, promoted by aliases, run on videos."""

from typing import TYPE_CHECKING

from holdfast.late_import import late_names

if TYPE_CHECKING:
    from holdfast.models.alias_history import AnyVersion
    from holdfast.models.blob_store import Collected
    from holdfast.models.exchange.layout_exchange import export_layout, import_layout
    from holdfast.models.exchange.mlflow_import import MlflowImport, import_mlflow
    from holdfast.models.exchange.packed_layer import UnpackLimits
    from holdfast.models.model_entities import (
        MODEL_ENTITIES,
        AliasMove,
        LinkKind,
        ModelAlias,
        ModelVersion,
        RegisteredModel,
        SignatureBundle,
        VersionFile,
    )
    from holdfast.models.registration import Registered
    from holdfast.models.registry import FileDamage, ModelRegistry
    from holdfast.models.registry_reads import Lineage, LineageVersion, VersionDiff
    from holdfast.models.signatures.manifest_signing import (
        DetachedSignature,
        ManifestSigner,
        TrustedKeys,
    )
    from holdfast.models.signatures.model_bundle import BundleSigner
    from holdfast.models.version_details import ModelSignature, TensorSpec, VersionDetails
    from holdfast.models.version_search import VersionSearch
else:
    __getattr__ = late_names(
        __name__,
        {
            "holdfast.models.alias_history": ("AnyVersion",),
            "holdfast.models.blob_store": ("Collected",),
            "holdfast.models.exchange.layout_exchange": ("export_layout", "import_layout"),
            "holdfast.models.signatures.manifest_signing": (
                "DetachedSignature",
                "ManifestSigner",
                "TrustedKeys",
            ),
            "holdfast.models.exchange.mlflow_import": ("MlflowImport", "import_mlflow"),
            "holdfast.models.signatures.model_bundle": ("BundleSigner",),
            "holdfast.models.model_entities": (
                "MODEL_ENTITIES",
                "AliasMove",
                "LinkKind",
                "ModelAlias",
                "ModelVersion",
                "RegisteredModel",
                "SignatureBundle",
                "VersionFile",
            ),
            "holdfast.models.exchange.packed_layer": ("UnpackLimits",),
            "holdfast.models.registration": ("Registered",),
            "holdfast.models.registry": ("FileDamage", "ModelRegistry"),
            "holdfast.models.registry_reads": ("LineageVersion", "Lineage", "VersionDiff"),
            "holdfast.models.version_details": ("ModelSignature", "TensorSpec", "VersionDetails"),
            "holdfast.models.version_search": ("VersionSearch",),
        },
    )

__all__ = [
    "MODEL_ENTITIES",
    "AliasMove",
    "AnyVersion",
    "BundleSigner",
    "Collected",
    "DetachedSignature",
    "FileDamage",
    "Lineage",
    "LineageVersion",
    "LinkKind",
    "ManifestSigner",
    "MlflowImport",
    "ModelAlias",
    "ModelRegistry",
    "ModelSignature",
    "ModelVersion",
    "Registered",
    "RegisteredModel",
    "SignatureBundle",
    "TensorSpec",
    "TrustedKeys",
    "UnpackLimits",
    "VersionDetails",
    "VersionDiff",
    "VersionFile",
    "VersionSearch",
    "export_layout",
    "import_layout",
    "import_mlflow",
]
