"""What a query says of rows, as data: operands, expressions, conditions, orders, changes."""
