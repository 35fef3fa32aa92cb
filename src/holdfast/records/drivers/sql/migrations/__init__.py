"""Migrations by Alembic: its files, written from entities, and run on any database."""
