"""Every setting, typed and checked, and what follows from them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from holdfast.settings.hosts_section import HostsSection
from holdfast.settings.jobs_section import JobsSection
from holdfast.settings.limits_section import LimitsSection
from holdfast.settings.login_section import LoginSection
from holdfast.settings.migrations_section import MigrationsSection
from holdfast.settings.sections import (
    AuditSection,
    ObjectsSection,
    RedisSection,
    S3Section,
    StorageSection,
    WebhooksSection,
)
from holdfast.settings.setting_spec import About
from holdfast.settings.value_checks import (
    NUMBER,
    checked_url,
    no_unknown_names,
    parse_bucket,
    parse_cache,
    parse_store,
    split_names,
)
from holdfast.settings.worker_section import WorkerSection

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource

BucketRole = Literal["video", "models", "logs"]


def _absolute(value: Path) -> Path:
    return value.absolute()


class Settings(BaseSettings):
    """Where everything lies and how work is done.

    What is not given is read from the environment: `HOLDFAST_<NAME>`, and the names that people
    have already. Without any, all of it lies in one folder: a SQLite file and the objects.
    `read_settings` reads the files as well. A name that there is no setting of, and a value that a
    setting can't have, raise pydantic's ValidationError.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data: Annotated[
        Path,
        AfterValidator(_absolute),
        About(what="the folder with everything in it", expected="the path of a folder"),
    ] = Path("holdfast-data")
    store: Annotated[
        str,
        AfterValidator(checked_url(parse_store)),
        About(
            what="URL of the records",
            expected="the URL of a database",
            borrowed=("DATABASE_URL",),
            also=("storage.sql.url",),
            shown="url",
            unset="`holdfast.db` in the data folder",
        ),
    ] = ""
    bucket: Annotated[
        str,
        AfterValidator(checked_url(parse_bucket)),
        About(
            what="URL of the objects, or a bucket's name on S3",
            expected="a URL of a bucket, or a bucket's name",
            borrowed=("MINIO_DEFAULT_BUCKET",),
            shown="place",
            unset="`objects` in the data folder",
        ),
    ] = ""
    cache: Annotated[
        str,
        AfterValidator(checked_url(parse_cache)),
        About(
            what="URL of the cache",
            expected="a URL such as redis://host:6379/0, or memory://",
            borrowed=("REDIS_URL",),
            also=("redis.url",),
            shown="url",
            unset="`memory://`",
        ),
    ] = ""
    domains: Annotated[
        tuple[str, ...],
        BeforeValidator(split_names),
        About(
            what="the domains that are switched on, with commas between: `access`, `audit`, "
            "`figures`, `hosts`, `jobs`, `media`, `models`, `webhooks` (off unless named), and "
            "those of your own",
            expected="names of domains",
        ),
    ] = ("access", "audit", "figures", "hosts", "jobs", "media", "models")
    detector: Annotated[
        str,
        Field(min_length=1, max_length=400),
        About(
            what="what looks at videos: `motion`, or a registered model such as `vehicles@prod`, "
            "an ONNX file of the YOLO kind",
            expected="motion, or a reference to a model such as vehicles@prod",
        ),
    ] = "motion"
    model_keys: Annotated[
        Path | None,
        About(
            what="a file of public keys and root certificates (PEM): a model that none of them has "
            "signed is neither downloaded nor run",
            expected="the path of a file of public keys",
            unset="signatures are not asked for",
        ),
    ] = None
    lease: Annotated[
        float,
        NUMBER,
        Field(gt=0, le=86_400),
        About(
            what="seconds after which a worker without a sign of life loses its job",
            expected="a number of seconds above 0, 86400 at most",
        ),
    ] = 15.0
    storage: StorageSection = StorageSection()
    redis: RedisSection = RedisSection()
    s3: S3Section = S3Section()
    objects: ObjectsSection = ObjectsSection()
    limits: LimitsSection = LimitsSection()
    login: LoginSection = LoginSection()
    audit: AuditSection = AuditSection()
    webhooks: WebhooksSection = WebhooksSection()
    hosts: HostsSection = HostsSection()
    worker: WorkerSection = WorkerSection()
    jobs: JobsSection = JobsSection()
    migrations: MigrationsSection = MigrationsSection()

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_names(cls, given: object) -> object:
        return no_unknown_names(cls, given)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours takes their place
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given first, then the environment by every name; see pydantic-settings."""
        from holdfast.settings.environment import EnvironmentSource  # noqa: PLC0415 - it needs us

        return init_settings, EnvironmentSource(settings_cls)

    @property
    def store_url(self) -> str:
        """The URL of the records, also where none was set."""
        if self.storage.type == "memory":
            return self.store if self.store.startswith("memory://") else "memory://"
        if self.storage.type == "dynamodb":
            own = self.storage.dynamodb
            return self.store or f"dynamodb://{own.region}/{own.prefix}"
        return self.store or f"sqlite:///{quote(str(self.data / 'holdfast.db'))}"

    @property
    def bucket_url(self) -> str:
        """The URL of the objects, also where none was set."""
        return _with_scheme(self.bucket) or f"file://{quote(str(self.data / 'objects'))}"

    def role_url(self, role: BucketRole) -> str:
        """Return the URL of the bucket that *role* has for itself; '' when it has none."""
        own = {
            "video": self.objects.video_bucket,
            "models": self.objects.models_bucket,
            "logs": self.objects.logs_bucket,
        }
        return _with_scheme(own[role])

    @property
    def cache_url(self) -> str:
        """The URL of the cache, also where none was set."""
        if self.redis.enabled is False:
            return self.cache if self.cache.startswith("memory://") else "memory://"
        return self.cache or ("redis://localhost:6379" if self.redis.enabled else "memory://")

    @property
    def s3_endpoint_url(self) -> str:
        """The server of buckets on S3 as a URL; '' for AWS."""
        endpoint = self.s3.endpoint_url
        if not endpoint or "://" in endpoint:
            return endpoint
        return f"{'https' if self.s3.secure else 'http'}://{endpoint}"

    @property
    def domain_sections(self) -> dict[str, dict[str, object]]:
        """The settings that are a domain's alone, by the domain's name and theirs."""
        key = self.audit.key or str(self.data / "audit.key")
        return {
            "audit": {**self.audit.model_dump(), "key": key},
            "hosts": self.hosts.model_dump(),
            "jobs": self.jobs.model_dump(),
            "media": {"detector": self.detector},
            "models": {"keys": self.model_keys},
            "webhooks": self.webhooks.model_dump(),
        }

    @property
    def work_folder(self) -> Path:
        """Where workers keep what they work on."""
        return self.data / "work"

    @property
    def lease_time(self) -> timedelta:
        """The setting *lease* as a time."""
        return timedelta(seconds=self.lease)


def _with_scheme(bucket: str) -> str:
    return bucket if not bucket or "://" in bucket else f"s3://{bucket}"
