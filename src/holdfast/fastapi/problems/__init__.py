"""Errors over HTTP: problem documents, what each error is as one, and the handlers."""
