"""Tables of classes that SQLAlchemy mapped, whose types and names are their own."""
