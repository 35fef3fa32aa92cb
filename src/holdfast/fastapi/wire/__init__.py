"""What goes over the wire of an entity: pydantic models of its fields, and JSON of its values."""
