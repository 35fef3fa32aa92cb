"""Settings: where they come from, in which order, and what is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from holdfast.errors import ConfigurationError, InvalidSettingsError
from holdfast.settings import Settings, read_settings, resolve_settings, settings_in_force
from holdfast.settings.backend_options import s3_options, store_options
from holdfast.settings.in_force import misspelt_variables, settings_table
from holdfast.settings.resolution import SPECS
from holdfast.web.serve_options import ServeOptions, hand_on

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def faults():
    with pytest.raises(InvalidSettingsError) as refused:
        read_settings()
    return {fault.name: fault for fault in refused.value.faults}


def origin(path):
    return str(resolve_settings().origins[path])


def test_without_any_everything_lies_in_one_folder(tmp_path):
    settings = read_settings()
    assert settings.data == tmp_path / "holdfast-data"
    assert settings.store_url == f"sqlite:///{tmp_path}/holdfast-data/holdfast.db"
    assert settings.bucket_url == f"file://{tmp_path}/holdfast-data/objects"
    assert settings.cache_url == "memory://"
    assert list(tmp_path.iterdir()) == []


def test_option_before_environment_before_env_file_before_toml(monkeypatch, tmp_path):
    Path("holdfast.toml").write_text('data = "of-toml"\nlease = 3\n')
    assert read_settings().data == tmp_path / "of-toml"
    Path(".env").write_text("HOLDFAST_DATA=of-file\nOTHER=1\n")
    assert read_settings().data == tmp_path / "of-file"
    monkeypatch.setenv("HOLDFAST_DATA", "of-environment")
    assert read_settings().data == tmp_path / "of-environment"
    assert read_settings(data=Path("given")).data == tmp_path / "given"
    assert read_settings().lease == 3


def test_own_names_before_borrowed_ones_wherever_they_stand_before_toml(monkeypatch):
    Path("holdfast.toml").write_text('store = "sqlite:///toml.db"\n')
    assert origin("store") == "store in holdfast.toml"
    Path(".env").write_text("DATABASE_URL=sqlite:///borrowed.db\n")
    assert origin("store") == "DATABASE_URL in .env"
    monkeypatch.setenv("DATABASE_URL", "sqlite:///environment.db")
    assert origin("store") == "DATABASE_URL in the environment"
    Path(".env").write_text("HOLDFAST_STORE=sqlite:///own.db\n")
    assert origin("store") == "HOLDFAST_STORE in .env"
    monkeypatch.setenv("HOLDFAST_STORE", "sqlite:///own-environment.db")
    assert origin("store") == "HOLDFAST_STORE in the environment"
    assert read_settings().store_url == "sqlite:///own-environment.db"


@pytest.mark.parametrize("url", ["postgresql+asyncpg://u:p@h/d", "postgres://u:p@h/d"])
def test_a_database_with_the_names_of_other_programs(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DATABASE_POOL_SIZE", "7")
    monkeypatch.setenv("DATABASE_MAX_OVERFLOW", "0")
    monkeypatch.setenv("DATABASE_ECHO", "true")
    options = store_options(read_settings())
    assert (options.pool_size, options.max_overflow, options.echo) == (7, 0, True)
    assert type(options).__name__ == "PostgreSQLOptions"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("mysql+asyncmy://u:p@h/d", "MySQLOptions"),
        ("mariadb://u:p@h/d", "MariaDBOptions"),
        ("sqlite+aiosqlite:///a.db", "SQLiteOptions"),
        ("memory://", "MemoryOptions"),
    ],
)
def test_each_backend_gets_its_own_options(monkeypatch, url, kind):
    monkeypatch.setenv("DATABASE_URL", url)
    assert type(store_options(read_settings())).__name__ == kind


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"REDIS_URL": "redis://r/1"}, "redis://r/1"),
        ({"REDIS_URL": "redis://r/1", "REDIS_ENABLED": "false"}, "memory://"),
        ({"REDIS_ENABLED": "true"}, "redis://localhost:6379"),
        ({"REDIS_URL": "redis://r/1", "HOLDFAST_CACHE": "redis://own"}, "redis://own"),
        ({"HOLDFAST_CACHE": "memory://?max_entries=5", "REDIS_ENABLED": "0"},
         "memory://?max_entries=5"),
        ({"REDIS_POOL_SIZE": "10"}, "memory://"),
    ],
)  # fmt: skip
def test_whether_the_cache_is_in_redis(monkeypatch, variables, url):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_settings().cache_url == url


def test_a_server_with_the_names_of_minio(monkeypatch):
    for name, value in {
        "MINIO_ENDPOINT": "localhost:9000", "MINIO_SECURE": "false", "MINIO_REGION": "eu-1",
        "MINIO_ACCESS_KEY": "minio", "MINIO_SECRET_KEY": "hunter2",
        "MINIO_DEFAULT_BUCKET": "app", "MINIO_VIDEO_BUCKET": "videos",
        "MINIO_MULTIPART_THRESHOLD": "16777216", "MINIO_MAX_POOL_CONNECTIONS": "9",
        "MINIO_ENABLE_CACHING": "true", "MINIO_CACHE_TTL": "30",
        "MINIO_ENABLE_VERSIONING": "yes", "MINIO_ENABLE_ENCRYPTION": "1",
        "MINIO_ENABLE_COMPRESSION": "on",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings.bucket_url == "s3://app"
    assert settings.role_url("video") == "s3://videos"
    assert settings.role_url("logs") == ""
    options = s3_options(settings)
    assert options.endpoint_url == "http://localhost:9000"
    assert (options.region, options.encryption, options.connections) == ("eu-1", "AES256", 9)
    assert options.multipart == 16 * 1024 * 1024
    assert options.credentials.secret_key == "hunter2"
    objects = settings.objects
    assert (objects.cache_metadata, objects.metadata_ttl) == (True, 30)
    assert (objects.versioning, objects.compression) == (True, True)


def test_region_and_server_come_from_the_aws_profile_last(monkeypatch):
    Path("aws-config").write_text(
        "[profile dev]\nregion = eu-west-3\nendpoint_url = https://s3.profile.example\n"
    )
    monkeypatch.setenv("HOLDFAST_BUCKET", "films")
    Path(".env").write_text("AWS_PROFILE=dev\n")
    options = s3_options(read_settings())
    assert (options.region, options.endpoint_url) == ("eu-west-3", "https://s3.profile.example")
    assert origin("s3.region") == "region in the AWS profile 'dev'"
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    assert read_settings().s3.region == "us-west-1"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert read_settings().s3_endpoint_url == ""


def test_keys_of_the_environment_give_way_to_a_profile_as_with_aws_itself(monkeypatch):
    monkeypatch.setenv("HOLDFAST_BUCKET", "s3://films")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert s3_options(read_settings()).credentials.access_key == "of-environment"
    monkeypatch.setenv("AWS_PROFILE", "dev")
    assert read_settings().s3.access_key == ""


def test_the_kind_of_storage_and_its_sections(monkeypatch):
    Path("holdfast.toml").write_text(
        '[storage]\ntype = "sql"\n'
        '[storage.sql]\nurl = "postgresql://u:p@h/d"\npool_size = 3\n'
        "[storage.memory]\nlock_timeout = 2.5\n"
    )
    settings = read_settings()
    assert settings.store_url == "postgresql://u:p@h/d"
    assert store_options(settings).pool_size == 3
    assert origin("store") == "storage.sql.url in holdfast.toml"
    monkeypatch.setenv("HOLDFAST_STORAGE_TYPE", "memory")
    settings = read_settings()
    assert settings.store_url == "memory://"
    assert store_options(settings).lock_timeout == 2.5
    monkeypatch.setenv("HOLDFAST_STORAGE_TYPE", "dynamodb")
    wrong = faults()["storage.sql.url"]
    assert wrong.expected == "dynamodb://, as storage.type is 'dynamodb'"
    Path("holdfast.toml").write_text(
        '[storage.dynamodb]\nregion = "eu-central-1"\nprefix = "shop"\n'
        'endpoint_url = "http://localhost:8000"\nscan = true\n'
    )
    settings = read_settings()
    assert settings.store_url == "dynamodb://eu-central-1/shop"
    chosen = store_options(settings)
    assert (chosen.endpoint_url, chosen.scan) == ("http://localhost:8000", True)
    monkeypatch.setenv("HOLDFAST_STORE", "dynamodb://us-east-1/other?scan=false")
    assert read_settings().store_url == "dynamodb://us-east-1/other?scan=false"


def test_secrets_come_from_files(monkeypatch, tmp_path):
    (tmp_path / "url").write_text("sqlite:///of-file.db\n")
    monkeypatch.setenv("DATABASE_URL_FILE", "url")
    assert read_settings().store_url == "sqlite:///of-file.db"
    assert origin("store") == "DATABASE_URL_FILE in the environment"
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "redis_url").write_text("redis://:hunter2@r\n")
    (secrets / ".hidden").write_text("x")
    (secrets / "holdfast_lease").write_text("7")
    monkeypatch.setenv("HOLDFAST_SECRETS", str(secrets))
    assert read_settings().cache_url == "redis://:hunter2@r"
    assert origin("cache") == f"REDIS_URL in the secrets in {secrets}"
    assert read_settings().lease == 7
    monkeypatch.setenv("DATABASE_URL", "sqlite:///direct.db")
    with pytest.raises(ConfigurationError, match="DATABASE_URL and DATABASE_URL_FILE are both set"):
        read_settings()
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL_FILE", "nowhere")
    with pytest.raises(ConfigurationError, match="DATABASE_URL_FILE='nowhere': there is no such"):
        read_settings()


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("holdfast.toml", b"lease = [", r"holdfast\.toml can't be read"),
        ("holdfast.toml", b"\xff\xfe", r"holdfast\.toml' can't be read"),
        ("holdfast.toml", b"leese = 3", r"leese=.* in holdfast\.toml: .*did you mean 'lease'\?"),
        ("holdfast.toml", b"[s3]\nregoin = 'x'", r"s3\.regoin=.*did you mean 's3\.region'\?"),
        (
            "holdfast.toml",
            b"store = 'memory://'\n[storage.sql]\nurl = 'sqlite:///a.db'",
            r"storage\.sql\.url='sqlite:///a\.db' in .*: expected it once, not as store too",
        ),
        ("holdfast.toml", b"s3 = 3", r"s3='\*\*\*' in holdfast\.toml: expected a section \[s3\]"),
        ("holdfast.toml", b"[lease]\nx = 1", r"lease=.*: expected a number.*, not a section"),
        ("holdfast.toml", b"lease = 'soon'", r"lease='soon' in holdfast\.toml: expected a number"),
        ("holdfast.toml", b"lease = true", r"lease='true' in holdfast\.toml: expected a number"),
        ("holdfast.toml", b"lease = 0", r"lease='0' in holdfast\.toml: expected .* above 0"),
        ("holdfast.toml", b"domains = [1]", r"domains='1' in holdfast\.toml: expected names"),
        (".env", b"\xff\xfe", r"\.env' can't be read"),
        (".env", b"HOLDFAST_LEASE=nan", r"HOLDFAST_LEASE='nan' in \.env: expected a number"),
    ],
)
def test_what_is_wrong_is_named(file, content, says):
    Path(file).write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        read_settings()


def test_all_faults_are_told_at_once_and_no_secret_with_them(monkeypatch):
    Path("holdfast.toml").write_text("leese = 3\n[storage.sql]\npool_size = 0\n")
    Path(".env").write_text("DATABASE_URL=hunter2\nMINIO_ENDPOINT=http://u:hunter2@m\n")
    monkeypatch.setenv("REDIS_URL", "http://user:hunter2@redis.example")
    monkeypatch.setenv("MINIO_SECRET_KEY", "hunter2")
    monkeypatch.setenv("MINIO_MULTIPART_THRESHOLD", "1MiB")
    found = faults()
    assert found.keys() == {
        "leese", "storage.sql.pool_size", "DATABASE_URL", "MINIO_ENDPOINT", "REDIS_URL",
        "MINIO_SECRET_KEY", "MINIO_MULTIPART_THRESHOLD",
    }  # fmt: skip
    assert found["DATABASE_URL"].place == ".env"
    assert found["REDIS_URL"].value == "http://***@redis.example"
    assert found["MINIO_MULTIPART_THRESHOLD"].expected == "a size from 5MiB to 5GiB"
    assert found["MINIO_SECRET_KEY"].expected.endswith(
        "MINIO_ACCESS_KEY or AWS_ACCESS_KEY_ID beside it"
    )
    with pytest.raises(InvalidSettingsError, match="7 settings can't be used") as refused:
        read_settings()
    assert "hunter2" not in str(refused.value)


def test_halves_of_two_keys_make_none(monkeypatch):
    monkeypatch.setenv("MINIO_ACCESS_KEY", "minio")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert faults()["AWS_SECRET_ACCESS_KEY"].expected.startswith("both halves of one key")


def test_minio_without_a_bucket_is_not_the_disk(monkeypatch):
    monkeypatch.setenv("MINIO_ENDPOINT", "localhost:9000")
    assert "MINIO_DEFAULT_BUCKET" in faults()["MINIO_ENDPOINT"].expected


def test_memory_is_no_database(monkeypatch):
    monkeypatch.setenv("HOLDFAST_STORAGE_TYPE", "sql")
    monkeypatch.setenv("DATABASE_URL", "memory://")
    assert "storage.type" in faults()["DATABASE_URL"].expected


def test_settings_made_in_code_take_the_environment_for_the_rest(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "sqlite:///environment.db")
    monkeypatch.setenv("HOLDFAST_DOMAINS", "jobs, billing")
    settings = Settings(data=tmp_path, lease=4)
    assert (settings.data, settings.lease) == (tmp_path, 4)
    assert settings.store_url == "sqlite:///environment.db"
    assert settings.domains == ("jobs", "billing")
    assert Settings(store="memory://").store_url == "memory://"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"domain": ("jobs",)}, r"Settings has no setting 'domain'; did you mean 'domains'\?"),
        ({"zzz": 1}, "Settings has no setting 'zzz'; there are data, store, bucket"),
        ({"storage": {"tpe": "memory"}}, "storage\n.*StorageSection.*'tpe'; did you mean 'type'"),
        ({"storage": {"sql": {"poolsize": 3}}}, "'poolsize'; did you mean 'pool_size'"),
        ({"s3": {"secret_key": "hunter2", "acess_key": "k"}}, "'acess_key'; did you mean"),
    ],
)
def test_a_name_that_there_is_no_setting_of_is_refused_with_what_was_meant(given, says):
    with pytest.raises(ValidationError, match=says) as refused:
        Settings(**given)
    assert "hunter2" not in str(refused.value)


def test_what_is_in_force_is_shown_without_secrets(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter2@db/app?sslrootcert=hunter2")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("MINIO_SECRET_KEY", "hunter2")
    shown = {each.name: each for each in settings_in_force(resolve_settings())}
    assert shown.keys() == SPECS.keys()
    assert shown["store"].value == "postgresql://***@db/app?sslrootcert=..."
    assert shown["s3.secret_key"].value == "***"
    assert shown["cache"].unset == "memory://"
    assert "hunter2" not in repr(shown)


def test_a_variable_that_looks_like_a_setting_is_pointed_out(monkeypatch):
    found = misspelt_variables({"HOLDFAST_STROE": "x", "HOLDFAST_STORE": "y", "HOME": "/"})
    assert found == {"HOLDFAST_STROE": "HOLDFAST_STORE"}
    assert misspelt_variables({"HOLDFAST_STORE_FILE": "x", "HOLDFAST_SETTINGS": "y"}) == {}
    monkeypatch.setattr(os, "environ", {})
    hand_on(ServeOptions())
    assert os.environ
    assert misspelt_variables(os.environ) == {}, "a server would warn of itself"


def test_the_documentation_has_the_table_that_the_code_gives():
    found = re.search(
        r"<!-- the settings -->\n\n(.*?)\n<!-- to here -->", DOCS.read_text(), re.DOTALL
    )
    assert found[1] == settings_table(), "python -m tools.settings_table writes it"


def test_a_named_file_takes_the_place_of_those_of_the_working_folder(monkeypatch, tmp_path):
    Path("holdfast.toml").write_text("lease = 3\n")
    Path(".env").write_text("HOLDFAST_LEASE=4\n")
    Path("named.toml").write_text('data = "of-named"\n')
    monkeypatch.setenv("HOLDFAST_SETTINGS", "named.toml")
    settings = read_settings()
    assert (settings.data, settings.lease) == (tmp_path / "of-named", 15)
    monkeypatch.setenv("HOLDFAST_SETTINGS", "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml.*no such file"):
        read_settings()


@pytest.mark.parametrize("name", ["holdfast.toml", ".env"])
def test_a_file_that_anybody_may_write_is_trusted_only_when_named(monkeypatch, name):
    Path(name).write_text("# nothing\n")
    assert read_settings().lease == 15
    Path(name).chmod(0o666)
    with pytest.raises(ConfigurationError, match=rf"{name}.*not trusted.*HOLDFAST_SETTINGS={name}"):
        read_settings()
    monkeypatch.setenv("HOLDFAST_SETTINGS", name)
    assert read_settings().lease == 15


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["holdfast.toml", ".env"])
def test_a_file_of_another_user_is_not_trusted(name):
    Path(name).write_text("# nothing\n")
    os.chown(name, 65534, -1)
    with pytest.raises(ConfigurationError, match=rf"{name}.*uid 65534"):
        read_settings()


@pytest.mark.parametrize("name", ["holdfast.toml", ".env"])
def test_what_is_no_file_is_named_and_holds_nobody_up(name):
    os.mkfifo(name)
    with pytest.raises(ConfigurationError, match=f"{name} is no regular file"):
        read_settings()
    Path(name).unlink()
    Path(name).mkdir()
    with pytest.raises(ConfigurationError, match=name):
        read_settings()


def test_a_file_that_never_ends_is_refused():
    Path("holdfast.toml").write_text("#" * (1 << 21))
    with pytest.raises(ConfigurationError, match=r"holdfast\.toml has more than 1048576"):
        read_settings()
