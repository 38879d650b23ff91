"""Results: run records and the store they live in."""
