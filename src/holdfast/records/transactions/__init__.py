"""Transactions: their blocks, whose turn it is in them, and what follows a commit."""
