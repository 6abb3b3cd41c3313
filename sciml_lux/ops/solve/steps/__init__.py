"""What a solve is made of: the field as steps take it, a step, its control and its record."""
