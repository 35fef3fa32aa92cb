"""Models from elsewhere and for elsewhere: OCI image layouts, and what MLflow keeps."""
