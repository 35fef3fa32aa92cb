"""Makes a release of a commit: wheel, sdist, bill of materials, checksums, signature."""
