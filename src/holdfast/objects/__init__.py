"""Objects: bytes under keys, with one meaning in memory, on disk and on S3."""

from holdfast.aws.credentials import Credentials
from holdfast.objects.administration import Administration
from holdfast.objects.bucket import Bucket
from holdfast.objects.driver import Capability, CommonPrefix, ObjectInfo
from holdfast.objects.drivers.s3.options import S3Options
from holdfast.objects.erasure import Erasure
from holdfast.objects.filtering import Filter
from holdfast.objects.grants import Grant, PostGrant, Presigned, PresignedPost
from holdfast.objects.history import ObjectVersion, Upload
from holdfast.objects.mirroring import SyncReport
from holdfast.objects.opening import DiskOptions, open_bucket
from holdfast.objects.reader import ObjectReader
from holdfast.objects.settings import (
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
from holdfast.objects.sources import Body
from holdfast.objects.storing import PutOptions
from holdfast.objects.transfer import Progress
from holdfast.objects.watching import (
    Health,
    Hooks,
    MetadataCache,
    OperationStats,
    Stats,
    WriteEvent,
)

__all__ = [
    "Administration",
    "Body",
    "Bucket",
    "BucketPolicy",
    "BucketTags",
    "Capability",
    "CommonPrefix",
    "Credentials",
    "DefaultEncryption",
    "DefaultRetention",
    "DiskOptions",
    "Erasure",
    "Filter",
    "Grant",
    "Health",
    "Hooks",
    "Lifecycle",
    "LifecycleRule",
    "MetadataCache",
    "ObjectInfo",
    "ObjectLock",
    "ObjectReader",
    "ObjectVersion",
    "OperationStats",
    "PostGrant",
    "Presigned",
    "PresignedPost",
    "Progress",
    "PublicAccessBlock",
    "PutOptions",
    "Retention",
    "S3Options",
    "Stats",
    "SyncReport",
    "Upload",
    "Versioning",
    "WriteEvent",
    "open_bucket",
]
