"""Going on while the store is away, and the way back to it."""
