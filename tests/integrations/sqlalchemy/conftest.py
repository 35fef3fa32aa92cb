from records.sql.conftest import mariadb_url, postgresql_url

__all__ = ["mariadb_url", "postgresql_url"]
