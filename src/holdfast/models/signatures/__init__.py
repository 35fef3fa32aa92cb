"""Signatures of versions: detached ones of Holdfast's own, and Sigstore's bundles."""
