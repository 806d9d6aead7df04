"""Random changes of training samples: of pictures, and of frames of events."""
