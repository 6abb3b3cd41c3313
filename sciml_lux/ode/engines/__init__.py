"""Those that solve an equation by a method."""
