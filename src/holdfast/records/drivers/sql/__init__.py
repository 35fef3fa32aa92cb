"""Records in SQL databases, in rooms: statements, executors, connections, and drivers above.

    statements       what is said: pure, text and values
        store_statements    queries of any shape        conditions   their WHERE
        model_statements    by key, and whole rows      tables       SQLAlchemy's tables
        conflict_lookup     what to ask when a row was refused
        dialect             what differs: dialects/sqlite, dialects/postgresql, and
                            dialects/mysql_family for dialects/mariadb and dialects/mysql
            ^
    executors        the verbs: run a statement, read the answer, tell what went wrong
        sqlite_executor     plain functions
        server_reader       awaited; server_executor adds writes and transactions, and
                            postgresql_executor, and mysql_family_executor for mariadb_executor
                            and mysql_executor, what is native there
            ^
    connections      where a verb runs, and for how long
        sqlite_connection   one connection on its thread, and the lock of those who write
        server_connection   the contract of the asyncpg_, psycopg_, asyncmy_ and
                            pymysql_connection modules
        pool                which connection is free, and what a cancelled call left
            ^
    drivers          beside the rooms: what a store is opened with
        sqlite              driver, session and transaction of SQLite
        server_driver       driver and session of a server, server_transaction its transaction
        postgresql, and mysql_family_server for mariadb and mysql
                            how to reach a server, begin there, and make its tables

All of them know `failure`: codes of the databases, kinds, errors. The arrows are imports:
statements know no executor, and executors no pool. A call goes the other
way: the session takes a connection, with the executor on it, and calls the verb; the verb asks for
the statement, which is compiled once for each shape of query, and has the connection run it;
generated code makes entities of the rows.

Beside the layers stand `migrations`, by Alembic, and what serves SQLAlchemy's users:
`mapped_tables`, for classes that it mapped, and `sqlalchemy_bridge`, by which it borrows a
transaction's connection.
"""
