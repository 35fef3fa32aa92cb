"""Objects: bytes under keys, with one meaning in memory, on disk and on S3."""

from holdfast.aws.credentials import Credentials
from holdfast.objects.bucket import Bucket, PutOptions
from holdfast.objects.driver import Capability, CommonPrefix, Grant, ObjectInfo, Presigned
from holdfast.objects.drivers.s3.options import S3Options
from holdfast.objects.opening import DiskOptions, open_bucket
from holdfast.objects.reader import ObjectReader
from holdfast.objects.sources import Body
from holdfast.objects.transfer import Progress

__all__ = [
    "Body",
    "Bucket",
    "Capability",
    "CommonPrefix",
    "Credentials",
    "DiskOptions",
    "Grant",
    "ObjectInfo",
    "ObjectReader",
    "Presigned",
    "Progress",
    "PutOptions",
    "S3Options",
    "open_bucket",
]
