from records.sql.conftest import mariadb_url, mysql_url, postgresql_url

__all__ = ["mariadb_url", "mysql_url", "postgresql_url"]
