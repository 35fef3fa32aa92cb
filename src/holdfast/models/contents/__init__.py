"""What files of models say of themselves, read from their headers."""
