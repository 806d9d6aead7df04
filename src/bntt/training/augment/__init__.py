"""Changes of training samples at random: of pictures, and of frames of events."""
