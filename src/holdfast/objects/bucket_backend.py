"""The backend below a bucket: its name, abilities, health, figures, settings and URLs."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Self

from holdfast.capability import require
from holdfast.errors import InvalidValueError
from holdfast.health import Health, probed
from holdfast.objects.administration import Administration
from holdfast.objects.capabilities import (
    CUSTOMER_KEY,
    KeyHolder,
    PostPresigner,
    Presigner,
    RetryCounter,
    Tagger,
    VersionStore,
)
from holdfast.objects.checks import check_content_type, check_key, check_options
from holdfast.objects.compression import check_compression
from holdfast.objects.driver import BucketCapability
from holdfast.objects.instrumentation import NO_HOOKS, Hooks, Instrumentation
from holdfast.objects.presign import PresignOptions, PresignPostOptions
from holdfast.tracing import object_spans

if TYPE_CHECKING:
    from holdfast.objects.compression import Compression
    from holdfast.objects.driver import BucketDriver
    from holdfast.objects.presign import PresignedPost, PresignedURL
    from holdfast.objects.upload import PutOptions
    from holdfast.offload import Offload
    from holdfast.stats import Stats

_READ = PresignOptions()
_FORM = PresignPostOptions()


class BucketBackend:
    """What a bucket says and asks of its backend, apart from objects; `Bucket` inherits it."""

    def __init__(self, driver: BucketDriver, offload: Offload, hooks: Hooks) -> None:
        self._driver = driver
        self._offload = offload
        self._instrumentation = Instrumentation(hooks, object_spans(driver.name))
        self._recorder = self._instrumentation.recorder
        self._hooked = hooks != NO_HOOKS
        self._actor: str | None = None
        self._compression: Compression | None = None

    @property
    def backend(self) -> str:
        """The name of the backend, as errors and metrics say it: `memory`, `disk`, `s3`."""
        return self._driver.name

    @property
    def capabilities(self) -> frozenset[BucketCapability]:
        """What this backend can do beyond what every backend can."""
        return self._driver.capabilities

    @property
    def admin(self) -> Administration:
        """The bucket's settings, locks and incomplete uploads."""
        return Administration(self._driver, self._instrumentation, self._actor)

    def acting_as(self, actor: str) -> Self:
        """Return the same bucket; the audit gets its writes as *actor*'s."""
        acting = copy(self)
        acting._actor = actor  # noqa: SLF001 - its own
        return acting

    def compressing(self, compression: Compression) -> Self:
        """Return the same bucket; what it puts is compressed so unless the options say how.

        As with the option of `put`: content that shrinks alone, and media never. Raises
        InvalidValueError for an unknown name, ConfigurationError when its library is missing.
        """
        compressing = copy(self)
        compressing._compression = check_compression(compression)  # noqa: SLF001 - its own
        return compressing

    def stats(self) -> Stats:
        """Return the figures of this bucket since it was opened here. No I/O.

        Operations are by verb; counters are ``retries``, requests that were sent again, and
        ``cache_hits`` and ``cache_misses`` of the metadata cache.
        """
        driver = self._driver
        return self._instrumentation.stats(
            driver.retries if isinstance(driver, RetryCounter) else 0
        )

    async def health(self) -> Health:
        """Return whether the backend can be used now, by one real probe.

        Never raises for a backend that is away: then the state is DOWN, with the reason.
        """
        return await probed(self._driver.probe)

    async def presign(self, key: str, options: PresignOptions = _READ) -> PresignedURL:
        """Return a URL with which anybody may do what *options* say, until it expires.

        It expires at the time that the result names: as asked, or earlier with the credentials
        that sign it. Whether there is such an object is not checked. Raises UnsupportedError
        where no server answers URLs.
        """
        check_key(key)
        check_options(options, PresignOptions)
        if options.content_type is not None:
            check_content_type(options.content_type)
        self._require(BucketCapability.PRESIGN)
        assert isinstance(self._driver, Presigner)
        return await self._driver.presign(key, options)

    async def presign_post(self, key: str, options: PresignPostOptions = _FORM) -> PresignedPost:
        """Return a form with which a browser may send one file as *key*, until it expires.

        As with `presign`, the end may come earlier than asked. The server refuses another key,
        type or size than *options* say. Raises UnsupportedError where no server takes forms.
        """
        check_key(key)
        check_options(options, PresignPostOptions)
        if options.content_type is not None:
            check_content_type(options.content_type)
        self._require(BucketCapability.PRESIGN_POST)
        assert isinstance(self._driver, PostPresigner)
        return await self._driver.presign_post(key, options)

    def encrypted_with(self, key: bytes) -> Self:
        """Return the same bucket; what it writes and reads is encrypted with *key* (SSE-C).

        The key has 32 bytes. The service keeps no copy: who loses the key loses the objects. It is
        sent with each request that needs it, over TLS alone. Raises UnsupportedError where the
        service can't do that, InvalidValueError, ConfigurationError without TLS.
        """
        if not isinstance(key, bytes) or len(key) != CUSTOMER_KEY:
            raise InvalidValueError("object", "key", f"expected {CUSTOMER_KEY} bytes")
        self._require(BucketCapability.CUSTOMER_KEYS)
        assert isinstance(self._driver, KeyHolder)
        keyed = copy(self)
        keyed._driver = self._driver.encrypted_with(key)  # noqa: SLF001 - its own
        return keyed

    def _require(self, capability: BucketCapability) -> None:
        require(capability, self._driver.capabilities, self._driver.name)

    def _tagger(self) -> Tagger:
        self._require(BucketCapability.TAGS)
        assert isinstance(self._driver, Tagger)
        return self._driver

    def _version_store(self) -> VersionStore:
        self._require(BucketCapability.VERSIONS)
        assert isinstance(self._driver, VersionStore)
        return self._driver

    def _check_options(self, options: PutOptions) -> None:
        for asked, capability in (
            (options.if_absent, BucketCapability.CONDITIONAL_CREATE),
            (options.if_match is not None, BucketCapability.CONDITIONAL_REPLACE),
            (options.tags, BucketCapability.TAGS),
            (options.resume is not None, BucketCapability.RESUMABLE_UPLOADS),
            (options.http(), BucketCapability.HTTP_HEADERS),
            (options.storage_class is not None, BucketCapability.STORAGE_CLASS),
            (options.acl is not None, BucketCapability.ACL),
        ):
            if asked:
                self._require(capability)
