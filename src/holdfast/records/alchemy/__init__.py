"""Classes that SQLAlchemy or SQLModel mapped, as entities: their models and their words."""
