"""How the world sees exchange rates."""
