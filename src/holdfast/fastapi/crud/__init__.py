"""The routes of an entity and what they are made of: lists, preconditions, models of the wire."""
