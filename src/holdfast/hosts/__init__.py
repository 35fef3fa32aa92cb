"""Hosts: templates of machines, requests for some, and the machines that came."""
