"""Holdfast: typed records, objects and jobs with one proven meaning on every backend."""
