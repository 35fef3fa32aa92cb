"""Holdfast in a FastAPI application."""
