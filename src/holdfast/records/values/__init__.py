"""What fields hold: which values there are, how they are checked, compared and changed inside."""
