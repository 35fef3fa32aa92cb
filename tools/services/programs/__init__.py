"""Where programs come from: one module for each kind of source, and the one that runs builders."""
