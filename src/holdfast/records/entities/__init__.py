"""How entities are declared, and the model of each: fields, relations, constraints, names."""
