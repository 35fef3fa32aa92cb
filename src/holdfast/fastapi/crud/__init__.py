"""The routes of an entity: the router, its lists with their filters and pages, preconditions."""
