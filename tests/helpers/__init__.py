"""What several test modules share: tiny models, data and records made on the spot, and independent references."""
