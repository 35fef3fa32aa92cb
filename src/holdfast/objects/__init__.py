"""Objects: bytes under keys, with one meaning in memory and on disk."""

from holdfast.objects.bucket import Bucket, PutOptions
from holdfast.objects.driver import Capability, CommonPrefix, ObjectInfo
from holdfast.objects.opening import DiskOptions, open_bucket
from holdfast.objects.reader import ObjectReader
from holdfast.objects.sources import Body
from holdfast.objects.transfer import Progress

__all__ = [
    "Body",
    "Bucket",
    "Capability",
    "CommonPrefix",
    "DiskOptions",
    "ObjectInfo",
    "ObjectReader",
    "Progress",
    "PutOptions",
    "open_bucket",
]
