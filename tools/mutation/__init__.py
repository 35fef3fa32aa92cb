"""Changes the code to see whether tests notice: `python -m tools.mutation`."""
