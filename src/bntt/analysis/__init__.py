"""What a trained network does, and what is in a set: accuracy, predictions, summaries."""
