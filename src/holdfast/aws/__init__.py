"""The client of AWS and compatible services, for drivers: credentials, signatures, HTTP/1.1."""
