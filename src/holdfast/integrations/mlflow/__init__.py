"""MLflow's client on Holdfast's registry of models: what its entry points name."""
