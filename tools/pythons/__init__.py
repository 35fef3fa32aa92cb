"""The tests on every Python that Holdfast supports: `python -m tools.pythons`."""
