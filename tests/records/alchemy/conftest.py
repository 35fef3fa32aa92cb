from records.sql.conftest import (
    mariadb_server,
    mariadb_url,
    postgresql_server,
    postgresql_url,
)

__all__ = ["mariadb_server", "mariadb_url", "postgresql_server", "postgresql_url"]
