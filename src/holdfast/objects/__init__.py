"""Objects: bytes under keys, with one meaning in memory, on disk and on S3."""

from holdfast.aws.credentials import Credentials
from holdfast.health import Health, HealthState
from holdfast.objects.administration import Administration
from holdfast.objects.body import Body
from holdfast.objects.bucket import Bucket
from holdfast.objects.bucket_settings import (
    BucketPolicy,
    BucketTags,
    DefaultEncryption,
    DefaultRetention,
    Lifecycle,
    LifecycleRule,
    ObjectLock,
    PublicAccessBlock,
    Retention,
    Versioning,
)
from holdfast.objects.connect import DiskOptions, open_bucket
from holdfast.objects.driver import BucketCapability
from holdfast.objects.drivers.s3.options import S3Options
from holdfast.objects.erasure import Erasure
from holdfast.objects.filter import Filter
from holdfast.objects.folder_sync import SyncReport
from holdfast.objects.instrumentation import Hooks, MetadataCache, WriteEvent
from holdfast.objects.object_info import (
    CommonPrefix,
    ObjectInfo,
    ObjectVersion,
    Upload,
    UploadPart,
)
from holdfast.objects.presign import (
    PresignedPost,
    PresignedURL,
    PresignOptions,
    PresignPostOptions,
)
from holdfast.objects.reader import ObjectReader
from holdfast.objects.transfer import Progress
from holdfast.objects.upload import PutOptions
from holdfast.stats import OperationStats, Stats

__all__ = [
    "Administration",
    "Body",
    "Bucket",
    "BucketCapability",
    "BucketPolicy",
    "BucketTags",
    "CommonPrefix",
    "Credentials",
    "DefaultEncryption",
    "DefaultRetention",
    "DiskOptions",
    "Erasure",
    "Filter",
    "Health",
    "HealthState",
    "Hooks",
    "Lifecycle",
    "LifecycleRule",
    "MetadataCache",
    "ObjectInfo",
    "ObjectLock",
    "ObjectReader",
    "ObjectVersion",
    "OperationStats",
    "PresignOptions",
    "PresignPostOptions",
    "PresignedPost",
    "PresignedURL",
    "Progress",
    "PublicAccessBlock",
    "PutOptions",
    "Retention",
    "S3Options",
    "Stats",
    "SyncReport",
    "Upload",
    "UploadPart",
    "Versioning",
    "WriteEvent",
    "open_bucket",
]
