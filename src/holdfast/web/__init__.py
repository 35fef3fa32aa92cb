"""The platform over HTTP: its API under `/api/v1`, and the server that `holdfast serve` starts."""
