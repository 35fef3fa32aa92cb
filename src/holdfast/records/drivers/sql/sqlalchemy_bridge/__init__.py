"""By which SQLAlchemy borrows the connection of a transaction, for statements and sessions."""
