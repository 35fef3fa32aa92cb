"""Tries each extra by itself: installed from the wheel alone, and its part of the docs run."""
