"""The faces of Uzel, independent of one another; each sees only the client side, never a node."""
