"""Who looks: the cookie of a visit, and the checks before each page and each form."""
