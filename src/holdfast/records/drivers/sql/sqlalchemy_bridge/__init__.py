"""A transaction's own connection lent to SQLAlchemy: its statements and sessions inside ours."""
